/** The audit log as it is read: what narrows it, and its entries in order. */

import type { Shown } from "../api/schema";

export const ACTIONS = [
  "agent", "audit", "bundle", "center", "command", "deployment", "dial", "dispatch", "enrolment_key", "group", "logs",
  "password", "profile", "schedule", "session", "session.refuse", "silence", "terminal", "token", "totp", "user",
] as const;

/** Reads a moment out of an address; what is no number is none. */
export function moment(text: string | null): number | null {
  const value = Number(text);
  return text && Number.isFinite(value) && value >= 0 ? value : null;
}

/** Writes a moment as a field for local date and time has it. */
export function toField(time: number | null): string {
  if (time === null) return "";
  const date = new Date(time * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Reads such a field; empty where there is no moment in it. */
export function fromField(text: string): string {
  const time = new Date(text).getTime();
  return text === "" || Number.isNaN(time) ? "" : String(Math.floor(time / 1000));
}

/** Puts newer entries before those that are there; one that is there already stays once. */
export function withNewer(known: readonly Shown[], newer: readonly Shown[]): Shown[] {
  const newest = known[0]?.number ?? 0;
  const fresh = newer.filter((each) => each.number > newest).sort((a, b) => b.number - a.number);
  return [...fresh, ...known];
}

/** Says an entry's data in a line. */
export function brief(data: Record<string, unknown>): string {
  return Object.entries(data)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
