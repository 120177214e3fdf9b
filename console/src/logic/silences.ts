/** When a silence holds, from what is written in its form. */

import { secondsOf } from "./conditions";

export type Written = { kind: "now" | "later"; span: string; from: string; until: string };
/** `starts` is null for at once; times are unix seconds. */
export type Holds = { starts: number | null; ends: number };
export type Wrong = { span?: string; until?: string };

const YEAR = 366 * 86_400;

/** Gives when it holds, or what of the form is wrong; a field that is still empty is not ready, and not wrong. */
export function holdsOf(written: Written, now: number): { holds: Holds | null; wrong: Wrong } {
  if (written.kind === "now") {
    const seconds = secondsOf(written.span);
    if (seconds === null || seconds <= 0 || seconds > YEAR) return { holds: null, wrong: { span: "A time such as 30 min, 2 h or 1 d; at most a year." } };
    return { holds: { starts: null, ends: now + seconds }, wrong: {} };
  }
  const starts = momentOf(written.from);
  const ends = momentOf(written.until);
  if (ends === null) return { holds: null, wrong: {} };
  if (ends <= now) return { holds: null, wrong: { until: "This is in the past." } };
  if (starts === null) return { holds: null, wrong: {} };
  if (ends <= starts) return { holds: null, wrong: { until: "It ends after it starts." } };
  if (ends - Math.max(starts, now) > YEAR) return { holds: null, wrong: { until: "At most a year." } };
  return { holds: { starts, ends }, wrong: {} };
}

/** Reads a field for local times, in the zone of the reader. */
function momentOf(text: string): number | null {
  const milliseconds = new Date(text).getTime();
  return Number.isNaN(milliseconds) ? null : milliseconds / 1000;
}
