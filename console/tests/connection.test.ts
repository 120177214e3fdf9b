import { expect, test } from "vitest";
import { connectionFacts } from "../src/logic/connection";

test("a link is told in words, its beginning as a moment", () => {
  expect(connectionFacts({ link: "open", address: "192.0.2.2", since: 1_795_393_747, protocol: 1, paused: false })).toEqual([
    { label: "Link", text: "open" },
    { label: "Comes from", text: "192.0.2.2" },
    { label: "Since", text: "", at: 1_795_393_747 },
    { label: "Protocol", text: "1" },
    { label: "Paused", text: "no" },
  ]);
});

test("what is not known is left out, and what is new is shown by its own name, on one line", () => {
  expect(connectionFacts({ link: "none", address: null, since: null, via_proxy: "a\nb", more: {} })).toEqual([
    { label: "Link", text: "none" },
    { label: "via proxy", text: expect.not.stringContaining("\n") as string },
  ]);
});
