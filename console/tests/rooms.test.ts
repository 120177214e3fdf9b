import { expect, test } from "vitest";
import { described, secondsOf, spanOf } from "../src/logic/conditions";
import { faultOf } from "../src/logic/fault";
import { choicesOf, linesOf } from "../src/logic/parameters_of";
import { kindOf, localOf, saidOf } from "../src/logic/when";

test("durations are read as they are written, and written so that they are read the same", () => {
  expect(["90", "5 min", "1.5h", "1h 30min", "2 days", "10 s"].map(secondsOf)).toEqual([90, 300, 5400, 5400, 172_800, 10]);
  expect(["", "soon", "5 parsecs", "min", "5 min or so", "-5"].map(secondsOf)).toEqual([null, null, null, null, null, null]);
  for (const seconds of [1, 90, 300, 3600, 5400, 86_400, 100_000]) expect(secondsOf(spanOf(seconds))).toBe(seconds);
});

test("a condition is said in a few words", () => {
  expect(described({ kind: "offline", for_s: 300 })).toBe("away for 5 min");
  expect(described({ kind: "metric", series: "disk_percent", under: 0, for_s: 90 })).toBe("disk_percent under 0 for 1 min 30 s");
  expect(described({ kind: "command_failed" })).toBe("a command fails");
});

test("a fault is marked where the center counts it, also behind signs that take two places", () => {
  expect(faultOf({ position: 2, length: 3 }, "\u{1f600} abc d")).toEqual({ before: "\u{1f600} ", wrong: "abc", after: " d" });
  expect(faultOf({ position: 3 }, "abc")).toEqual({ before: "abc", wrong: "␣", after: "" });
  expect(faultOf({}, "abc")).toBeNull();
});

test("each parameter's value is said with where it is from, known ones first", () => {
  const known = [
    { name: "port", default: "3840", takes: "a port from 1 to 65535", means: "Its port." },
    { name: "on", default: "false", takes: "true or false", means: "Serves." },
  ];
  const usual = { on: "true", rack: "7" };
  const lines = linesOf({ is_default: false, params: { poll: "60", rack: "8" }, comes_to: { on: "true", poll: "60", rack: "8" } }, known, usual);
  expect(lines.map((each) => [each.name, each.value, each.source, each.without])).toEqual([
    ["port", "3840", "built in", "3840"],
    ["on", "true", "inherited", "true"],
    ["poll", "60", "own", ""],
    ["rack", "8", "own", "7"],
  ]);
  expect(linesOf({ is_default: true, params: usual, comes_to: usual }, known, usual).map((each) => each.source)).toEqual(["built in", "own", "own"]);
});

test("what takes words alone is a choice", () => {
  expect(choicesOf("off, output or all")).toEqual(["off", "output", "all"]);
  expect(choicesOf("true or false")).toEqual(["true", "false"]);
  expect(choicesOf("a port from 1 to 65535")).toEqual([]);
});

test("a schedule's times are said as they were given", () => {
  expect(saidOf({ cron: "30 3 * * *" })).toBe("30 3 * * * (UTC)");
  expect(saidOf({ every: 5400, start: 1 })).toBe("every 90 min");
  expect(saidOf({ at: "2027-01-31T02:00", zone: "Europe/Berlin" })).toBe("once, 2027-01-31 02:00 (Europe/Berlin)");
  expect(saidOf({ at: 0 })).toBe("once, 1970-01-01 00:00 UTC");
  expect([kindOf({ at: 0 }), kindOf({ every: 1 }), kindOf({ cron: "" })]).toEqual(["at", "every", "cron"]);
  expect(localOf(1_800_000_000, "Europe/Berlin")).toBe("2027-01-15T09:00");
});
