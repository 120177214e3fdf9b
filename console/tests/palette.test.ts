import { describe, expect, it } from "vitest";
import { read } from "../src/logic/palette";

const TABS = ["Summary", "Services", "Logs", "Terminal"];

describe("what is typed into the palette", () => {
  it("is a host, or a host and a tab of it", () => {
    expect(read(" web-01 ", TABS)).toEqual({ q: "web-01", tabs: [] });
    expect(read("web-01 LO", TABS)).toEqual({ q: "web-01", tabs: ["Logs"] });
    expect(read("big host se", TABS)).toEqual({ q: "big host", tabs: ["Services"] });
  });

  it("is a host's name where nothing else is typed, or no tab is called so", () => {
    expect(read("logs", TABS)).toEqual({ q: "logs", tabs: [] });
    expect(read("web l", TABS)).toEqual({ q: "web l", tabs: [] });
    expect(read("web proxy", TABS)).toEqual({ q: "web proxy", tabs: [] });
    expect(read("", TABS)).toEqual({ q: "", tabs: [] });
  });
});
