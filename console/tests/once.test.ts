import { expect, it } from "vitest";
import { onceKey } from "../src/logic/once";

it("makes a key of its own each time, that fits into a header", () => {
  const keys = Array.from({ length: 1000 }, onceKey);
  expect(new Set(keys).size).toBe(1000);
  expect(keys.every((each) => /^[0-9a-z-]{7,31}$/.test(each))).toBe(true);
});
