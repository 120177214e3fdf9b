import { describe, expect, it } from "vitest";
import { sentence } from "../src/api/http";
import { oneLine, shownOutput } from "../src/logic/text";

describe("text of hosts", () => {
  it("moves no cursor, turns nothing around and hides nothing", () => {
    expect(oneLine("\u001b[31mred\u001b[0m\nnext\ttab")).toBe("red next tab");
    expect(oneLine("\u001b]0;title\u0007a\u001b]8;;http://x\u001b\\b")).toBe("ab");
    expect(oneLine("a\u202eb\u200bc\u0000d")).toBe("a\ufffdb\ufffdc\ufffdd");
  });
  it("shows a line that was written over as it ended", () => {
    expect(shownOutput("10%\r50%\r100%\ndone\r\n").text).toBe("100%\ndone\n");
  });
  it("bounds a line and the whole, and says so", () => {
    const long = shownOutput("x".repeat(1_000_000));
    expect(long.text.length).toBeLessThan(4_100);
    expect(long.text).toContain("more characters on this line");
    expect(long.before).toBe(800_000);
    const many = shownOutput("a line\n".repeat(100_000));
    expect(many.text.startsWith("a line\n")).toBe(true);
    expect(many.before + many.text.length).toBe(700_000);
  });
  it("is quick with what is made to be slow", () => {
    const began = performance.now();
    shownOutput("\u001b[".repeat(100_000) + "\u001b]".repeat(50_000));
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("why something failed", () => {
  it("is one short line, whoever has said it", () => {
    expect(sentence(new Error("The host says: \u001b[2Ja\u202eb\nc"))).toBe("The host says: a\ufffdb c");
    expect(sentence("x".repeat(10_000)).length).toBe(2_000);
  });
});
