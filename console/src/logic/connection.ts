/** What the center tells of a host's link, for people. */
import { oneLine } from "./text";

/** A line: its words, or the moment it tells of. */
export type ConnectionFact = { label: string; text: string; at?: number };

const LABELS: Record<string, string> = { link: "Link", address: "Comes from", since: "Since", protocol: "Protocol", paused: "Paused" };
const LONGEST = 300;

/** Lists what is known, in the center's order; what it tells more of some day is shown by its own name. */
export function connectionFacts(connection: Record<string, unknown>): ConnectionFact[] {
  return Object.entries(connection)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([key, value]) => {
      const label = LABELS[key] ?? oneLine(key).replaceAll("_", " ").slice(0, LONGEST);
      if (key === "since" && typeof value === "number") return { label, text: "", at: value };
      if (typeof value === "boolean") return { label, text: value ? "yes" : "no" };
      return { label, text: oneLine(String(value)).slice(0, LONGEST) };
    });
}
