/** What is said on a terminal's connection beside the terminal's own bytes. */

import { oneLine } from "./text";

export type Ending = { exit_code: number | null; signal: number | null; reason: string };
export type Told =
  | { kind: "opened"; terminal: string; offset: number; account: string }
  | { kind: "lost"; bytes: number }
  | ({ kind: "ended" } & Ending)
  | { kind: "cut"; reason: string; again: boolean }
  | { kind: "beat" };

/** Reads a text message: an object with one key. What is not known, of a newer center, counts as a sign of life. */
export function told(text: string): Told {
  const said = JSON.parse(text) as Record<string, object>;
  for (const kind of ["opened", "lost", "ended", "cut"])
    if (kind in said) return { kind, ...said[kind] } as Told;
  return { kind: "beat" };
}

/** Says how a terminal ended. */
export function endingOf({ exit_code, signal, reason }: Ending): string {
  const how =
    exit_code !== null ? `with exit code ${exit_code}` : signal !== null ? `by signal ${signal}` : "";
  const why = oneLine(reason);
  const said = how ? `It ended ${how}.` : why ? "" : "It ended.";
  return [said, why].filter(Boolean).join(" ");
}
