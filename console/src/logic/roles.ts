import type { Role } from "../api/schema";

const ORDER: readonly Role[] = ["viewer", "operator", "admin", "super_admin"];

/** Tells whether a role may do what takes another. */
export function covers(role: Role | undefined, needed: Role): boolean {
  return role !== undefined && ORDER.indexOf(role) >= ORDER.indexOf(needed);
}
