/** How commands and dispatches are named where they are listed. */

import { oneLine } from "../logic/text";

type Command = { type: string; params: Record<string, unknown> };

/** Gives the line that was run, or the type with its parameters. */
export function lineOf({ type, params }: Command): string {
  if (type === "shell") return oneLine(String(params["command"] ?? ""));
  const said = Object.entries(params).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return oneLine([type, ...said].join(" ")).slice(0, 300);
}

const FAILED: ReadonlySet<string> = new Set(["failed", "timed_out", "interrupted"]);

/** Tells whether a command's state counts as a failure. */
export function isFailure(state: string): boolean {
  return FAILED.has(state);
}

const ENDED: ReadonlySet<string> = new Set(["succeeded", "failed", "timed_out", "cancelled", "expired", "interrupted"]);

/** Tells whether a command's state is final. */
export function isOver(state: string): boolean {
  return ENDED.has(state);
}
