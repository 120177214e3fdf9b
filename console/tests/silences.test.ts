import { expect, test } from "vitest";
import { holdsOf, type Written } from "../src/logic/silences";

const NOW = Date.UTC(2030, 0, 15, 12) / 1000;
const written = (part: Partial<Written>): Written => ({ kind: "later", span: "", from: "", until: "", ...part });

test("a silence from now on holds for so long", () => {
  expect(holdsOf(written({ kind: "now", span: "2 h" }), NOW)).toEqual({ holds: { starts: null, ends: NOW + 7200 }, wrong: {} });
  for (const span of ["", "soon", "0", "400 d"]) expect(holdsOf(written({ kind: "now", span }), NOW).wrong.span).toContain("2 h");
});

test("a silence from one time to another is read in the zone of the reader", () => {
  const seconds = (text: string): number => new Date(text).getTime() / 1000;
  const right = { from: "2030-02-01T03:30", until: "2030-02-01T04:30" };
  expect(holdsOf(written(right), NOW)).toEqual({ holds: { starts: seconds(right.from), ends: seconds(right.until) }, wrong: {} });
  // What began in the past goes on until it ends.
  expect(holdsOf(written({ ...right, from: "2030-01-01T00:00" }), NOW).holds?.starts).toBe(seconds("2030-01-01T00:00"));
});

test("what can not be is said where it is, and what is not written yet is not wrong", () => {
  const untilWrong = (from: string, until: string): string | undefined => holdsOf(written({ from, until }), NOW).wrong.until;
  expect(untilWrong("2030-02-01T04:30", "2030-02-01T03:30")).toBe("It ends after it starts.");
  expect(untilWrong("2029-01-01T00:00", "2029-02-01T00:00")).toBe("This is in the past.");
  expect(untilWrong("2030-02-01T00:00", "2032-02-01T00:00")).toBe("At most a year.");
  for (const part of [{}, { from: "2030-02-01T04:30" }, { until: "2030-02-01T04:30" }]) expect(holdsOf(written(part), NOW)).toEqual({ holds: null, wrong: {} });
});
