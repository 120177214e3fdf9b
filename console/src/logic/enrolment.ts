/** How an enrolment key stands. */

import type { KeyRow } from "../api/schema";

export type KeyState = "usable" | "used up" | "expired" | "revoked";

export function stateOf(key: Pick<KeyRow, "revoked" | "expires" | "uses" | "used">, now: number): KeyState {
  if (key.revoked) return "revoked";
  if (key.uses !== null && key.used >= key.uses) return "used up";
  if (key.expires !== null && key.expires <= now) return "expired";
  return "usable";
}

/** Splits what was typed as tags: by commas and line ends. */
export function tagsOf(text: string): string[] {
  return [...new Set(text.split(/[,\n]+/).map((each) => each.trim()).filter((each) => each !== ""))];
}

export const LIFETIMES: readonly (readonly [string, string])[] = [
  ["1200", "20 minutes"],
  ["86400", "a day"],
  ["604800", "a week"],
  ["2592000", "30 days"],
  ["", "without end"],
];
