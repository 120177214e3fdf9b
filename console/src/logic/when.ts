/** When a schedule is due, as people say it. */

import { spanOf } from "./conditions";

export type When = { at?: number | string | null; every?: number | null; start?: number | null; cron?: string | null; zone?: string | null };
export type Kind = "cron" | "every" | "at";

/** Tells which of the three it is. */
export function kindOf(when: When): Kind {
  if (typeof when.cron === "string") return "cron";
  return typeof when.every === "number" ? "every" : "at";
}

/** Says in a few words when it is due. */
export function saidOf(when: When): string {
  const kind = kindOf(when);
  if (kind === "cron") return `${when.cron ?? ""} (${when.zone ?? "UTC"})`;
  if (kind === "every") return `every ${spanOf(when.every ?? 0)}`;
  if (typeof when.at === "number") return `once, ${utcOf(when.at)}`;
  return `once, ${(when.at ?? "").replace("T", " ")}${when.zone ? ` (${when.zone})` : ""}`;
}

function utcOf(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Gives a moment as a field for local times takes it, in a zone. */
export function localOf(seconds: number, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(seconds * 1000);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? "00";
  return `${part("year")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
}

/** The zones that the browser knows, its own and UTC first. */
export function zones(): string[] {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return [...new Set([own, "UTC", ...Intl.supportedValuesOf("timeZone")])];
}
