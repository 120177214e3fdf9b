import type { Role } from "../api/schema";

const ORDER: readonly Role[] = ["viewer", "operator", "admin", "super_admin"];

/** Tells whether a role may do what takes another. */
export function covers(role: Role | undefined, needed: Role): boolean {
  return role !== undefined && ORDER.indexOf(role) >= ORDER.indexOf(needed);
}

export const ROLE_NAMES: readonly (readonly [Role, string])[] = [
  ["viewer", "Viewer: sees hosts, commands and output"],
  ["operator", "Operator: also runs commands, sets tags"],
  ["admin", "Admin: also approves hosts, manages users"],
  ["super_admin", "Super admin: also manages super admins"],
];

type Ranked = { role: Role; disabled: boolean };

/** The roles that somebody may give away: none above their own. */
export function givable(own: Role | undefined): readonly (readonly [Role, string])[] {
  return ROLE_NAMES.filter(([role]) => covers(own, role));
}

/** Tells whether this is the last super admin who can sign in: the center lets nobody remove, disable or demote them. */
export function isLastOwner<T extends Ranked>(user: T, users: readonly T[]): boolean {
  return user.role === "super_admin" && !user.disabled && users.filter((each) => each.role === "super_admin" && !each.disabled).length === 1;
}

/** Says a role as it is read. */
export const roleName = (role: Role): string => role.replace("_", " ");
