import { expect, it } from "vitest";
import { changed, judged } from "../src/logic/configs";

it("says whether a configuration is JSON, or wants to be and is not", () => {
  expect(judged('{"fps": 5}').kind).toBe("json");
  expect(judged('{"fps": 5').kind).toBe("broken");
  expect(judged("fps=5").kind).toBe("text");
  expect(judged(" \n").kind).toBe("empty");
});

it("tells what a change does, line by line", () => {
  expect(changed("a\nb\nc", "a\nx\nc")).toEqual([
    { kind: "same", line: "a" },
    { kind: "removed", line: "b" },
    { kind: "added", line: "x" },
    { kind: "same", line: "c" },
  ]);
  expect(changed("a", "a").filter((each) => each.kind !== "same")).toEqual([]);
});
