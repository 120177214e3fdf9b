/** What alert rules watch for, as people say it. */

import { duration } from "./time";

export type Condition = { kind: "offline" | "metric" | "command_failed" | "dispatch_failed"; for_s?: number | null; series?: string | null; over?: number | null; under?: number | null };
export type Kind = Condition["kind"];

export const KINDS: readonly (readonly [Kind, string])[] = [
  ["offline", "A host is away"],
  ["metric", "A figure is over or under a value"],
  ["command_failed", "A command fails on a host"],
  ["dispatch_failed", "A dispatch fails"],
];

/** The figures that hosts send, with what they are; those of disks and cards may name one: `disk_percent:/srv`. */
export const SERIES: readonly (readonly [string, string])[] = [
  ["cpu_percent", "processor, percent"],
  ["cpu_user_percent", "processor for programs, percent"],
  ["cpu_system_percent", "processor for the kernel, percent"],
  ["cpu_iowait_percent", "processor waiting for disks, percent"],
  ["cpu_steal_percent", "processor taken by the machine's host, percent"],
  ["mem_percent", "memory, percent"],
  ["swap_percent", "swap, percent"],
  ["load_1", "load over 1 minute"],
  ["load_5", "load over 5 minutes"],
  ["load_15", "load over 15 minutes"],
  ["disk_percent", "fullest disk, percent"],
  ["disk_read_bytes", "read from a disk, bytes a second"],
  ["disk_written_bytes", "written to a disk, bytes a second"],
  ["net_received_bytes", "received by a card, bytes a second"],
  ["net_sent_bytes", "sent by a card, bytes a second"],
  ["net_errors", "errors of a card, a second"],
];

/** Says in a few words when a rule fires. */
export function described(when: Condition): string {
  const held = when.for_s ? ` for ${duration(when.for_s)}` : "";
  if (when.kind === "offline") return `away${held}`;
  if (when.kind === "command_failed") return "a command fails";
  if (when.kind === "dispatch_failed") return "a dispatch fails";
  const limit = typeof when.over === "number" ? `over ${when.over}` : `under ${when.under ?? "?"}`;
  return `${when.series ?? "?"} ${limit}${held}`;
}

const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^s(ec(onds?)?)?$/, 1],
  [/^m(in(utes?)?)?$/, 60],
  [/^h(ours?)?$/, 3600],
  [/^d(ays?)?$/, 86_400],
];

/** Reads a duration such as `90`, `5 min`, `1.5h` or `1h 30min` as seconds; null for what is none. */
export function secondsOf(text: string): number | null {
  const parts = [...text.trim().toLowerCase().matchAll(/(\d+(?:\.\d+)?)\s*([a-z]*)\s*/gy)];
  if (parts.length === 0 || parts.map((each) => each[0]).join("") !== text.trim().toLowerCase()) return null;
  let seconds = 0;
  for (const [, number, unit] of parts) {
    const size = unit === "" ? 1 : UNITS.find(([name]) => name.test(unit ?? ""))?.[1];
    if (size === undefined) return null;
    seconds += Number(number) * size;
  }
  return seconds;
}

/** Writes seconds as `secondsOf` reads them, exactly. */
export function spanOf(seconds: number): string {
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["min", 60]] as const) if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  return `${seconds} s`;
}
