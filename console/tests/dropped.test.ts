import { describe, expect, it } from "vitest";
import { chosenFolders, MOST_GIVEN, readDropped, TooMany } from "../src/logic/dropped";

const file = (path: string): File => Object.assign(new File(["x"], path.split("/").at(-1) ?? ""), { webkitRelativePath: path });
const entry = (name: string, inside?: FileSystemEntry[]): FileSystemEntry => {
  const pages = inside ? [inside.slice(0, 1), inside.slice(1), []] : [];
  const found = {
    name,
    isDirectory: inside !== undefined,
    createReader: () => ({ readEntries: (give: (some: FileSystemEntry[]) => void) => give(pages.shift() ?? []) }),
    file: (give: (one: File) => void) => give(file(name)),
  };
  return found as unknown as FileSystemEntry;
};

describe("what is given to be uploaded", () => {
  it("is put together from files with paths, each folder once and before what is in it", () => {
    const [given, ...others] = chosenFolders([file("a/b/c/1"), file("a/2"), file("a/b/3")]);
    expect(others).toEqual([]);
    expect(given?.folders).toEqual([["a"], ["a", "b"], ["a", "b", "c"]]);
    expect(given?.files.map((each) => each.parts.join("/"))).toEqual(["a/b/c/1", "a/2", "a/b/3"]);
  });
  it("is read from a folder page by page, empty folders too", async () => {
    const given = await readDropped(entry("a", [entry("empty", []), entry("1"), entry("b", [entry("2")])]));
    expect(given.folders.map((each) => each.join("/")).sort()).toEqual(["a", "a/b", "a/empty"]);
    expect(given.folders[0]).toEqual(["a"]);
    expect(given.files.map((each) => each.parts.join("/")).sort()).toEqual(["a/1", "a/b/2"]);
  });
  it("has an end", async () => {
    const many = Array.from({ length: MOST_GIVEN + 1 }, (_, at) => `a/${at}`);
    expect(() => chosenFolders(many.map(file))).toThrow(TooMany);
    await expect(readDropped(entry("a", many.map((name) => entry(name))))).rejects.toThrow(TooMany);
  });
});
