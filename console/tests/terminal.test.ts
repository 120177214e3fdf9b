import { describe, expect, it } from "vitest";
import { endingOf, told } from "../src/logic/terminal";

describe("what a terminal's connection says", () => {
  it("is read by its one key, and what is not known is a sign of life", () => {
    expect(told('{"opened":{"terminal":"term_1","offset":3,"account":"root"}}')).toEqual({
      kind: "opened",
      terminal: "term_1",
      offset: 3,
      account: "root",
    });
    expect(told('{"cut":{"reason":"x","again":true}}')).toEqual({ kind: "cut", reason: "x", again: true });
    expect(told('{"beat":{}}')).toEqual({ kind: "beat" });
    expect(told('{"newer":{"kind":"x"}}')).toEqual({ kind: "beat" });
  });
  it("tells how a terminal ended", () => {
    expect(endingOf({ exit_code: 0, signal: null, reason: "" })).toBe("It ended with exit code 0.");
    expect(endingOf({ exit_code: null, signal: 9, reason: "" })).toBe("It ended by signal 9.");
    expect(endingOf({ exit_code: null, signal: null, reason: "Nobody came back.\u202e" })).toBe("Nobody came back.\ufffd");
    expect(endingOf({ exit_code: null, signal: null, reason: "" })).toBe("It ended.");
  });
});
