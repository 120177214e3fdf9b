import { describe, expect, it } from "vitest";
import { bytesOf, child, crumbs, modeText, nameFault, parent, pathIn, pathOf, queryFor, readsAsText, shownPath, textOf } from "../src/logic/paths";

describe("paths on hosts", () => {
  it("keep names of any bytes", () => {
    const folder = pathOf("/srv//a b/./ü&?#%");
    expect(folder).toBe("/srv/a%20b/%C3%BC%26%3F%23%25");
    expect(textOf(folder)).toBe("/srv/a b/ü&?#%");
    const odd = child(folder, { name: "\ufffd", encoded: "%FF%FE" });
    expect(textOf(odd)).toBeNull();
    expect(shownPath(odd).endsWith("\ufffd\ufffd")).toBe(true);
    expect([...bytesOf("/%FFa")]).toEqual([47, 255, 97]);
    expect(parent(odd)).toBe(folder);
    expect(parent("/srv")).toBe("/");
    expect(child("/", { name: "x" })).toBe("/x");
    expect(crumbs("/a%20b/c")).toEqual([
      { path: "/", name: "/" },
      { path: "/a%20b", name: "a b" },
      { path: "/a%20b/c", name: "c" },
    ]);
  });
  it("stand in the console's address, as text where they are", () => {
    for (const path of ["/", "/srv/a%20b", "/srv/%FF"])
      expect(pathIn(new URLSearchParams(queryFor(path) as Record<string, string>))).toBe(path);
    expect(pathIn(new URLSearchParams("raw=/a'b\"; rm"))).toBe("/");
    expect(pathIn(new URLSearchParams("path=etc"))).toBe("/etc");
  });
  it("have names with rules", () => {
    expect(nameFault("a.txt")).toBe("");
    for (const name of ["", ".", "..", "a/b", "a\0b", "ü".repeat(128)]) expect(nameFault(name)).not.toBe("");
  });
});

describe("what a host says of files", () => {
  it("reads as ls has it", () => {
    expect(modeText({ kind: "folder", mode: "0755" })).toBe("drwxr-xr-x");
    expect(modeText({ kind: "file", mode: "0640" })).toBe("-rw-r-----");
  });
  it("is text when it is UTF-8 without null bytes, also when cut in a character", () => {
    expect(readsAsText(new TextEncoder().encode("grüße").slice(0, 3))).toBe(true);
    expect(readsAsText(Uint8Array.of(0x41, 0))).toBe(false);
    expect(readsAsText(Uint8Array.of(0xff, 0xfe))).toBe(false);
  });
});
