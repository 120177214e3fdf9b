import { describe, expect, it } from "vitest";
import { complete, termStart } from "../src/logic/target_completion";

const known = {
  hosts: ["web-01", "web-02", "db-01", "my host", 'qu"ote'],
  tags: ["web", "SITE", "SITE=x1", "SITE=two words"],
  groups: ["blue", "night shift"],
  systems: ["debian"],
};
const texts = (text: string, caret = text.length): string[] => complete(text, caret, known).choices.map((each) => each.text);

describe("completion of targets", () => {
  it("offers beginnings where nothing is typed", () => {
    expect(texts("")).toEqual(["all", "tag:", "group:", "os:", "status:", "not"]);
  });
  it("offers hosts by their names, and quotes those that need it", () => {
    expect(texts("web")).toEqual(["web-01", "web-02"]);
    expect(texts("my")).toEqual(['"my host"']);
    expect(texts("qu")).toEqual(['"qu\\"ote"']);
  });
  it("offers values behind a prefix", () => {
    expect(texts("tag:w")).toEqual(["tag:web", 'tag:SITE="two words"']);
    expect(texts("group:n")).toEqual(['group:"night shift"']);
    expect(texts("status:o")).toEqual(["status:offline", "status:online"]);
    expect(texts("nonsense:x")).toEqual([]);
  });
  it("offers joining words behind a whole term, and terms behind those", () => {
    expect(texts("web-01 ")).toEqual(["and", "or", "and not"]);
    expect(texts("web-01 o")).toEqual(["or"]);
    expect(texts("web-01 and ")[0]).toBe("all");
    expect(texts("(")[0]).toBe("all");
    expect(texts("web-01, db")).toEqual(["db-01"]);
  });
  it("replaces the term that the caret stands in, up to its end", () => {
    const { from, to } = complete("tag:web and not db-01", 6, known);
    expect([from, to]).toEqual([0, 7]);
  });
  it("keeps quoted text together", () => {
    expect(termStart('tag:SITE="two wo', 16)).toBe(0);
    expect(termStart('"a\\" b" x', 9)).toBe(8);
  });
});
