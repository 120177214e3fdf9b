import { expect, test } from "vitest";
import { Backlog } from "../src/logic/backlog";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (found: Uint8Array | undefined): string => new TextDecoder().decode(found);

test("what can be drawn is drawn at once", () => {
  const backlog = new Backlog(10, 8);
  expect(backlog.offer(bytes("12345"))).toBe(true);
  expect(backlog.drawn(5)).toBeNull();
  expect(backlog.offer(bytes("67890"))).toBe(true);
});

test("of what comes too fast the newest is kept, from the beginning of a line, and drawn after what waits", () => {
  const backlog = new Backlog(10, 8);
  expect(backlog.offer(bytes("more than ten"))).toBe(true);
  for (const each of ["flood\n", "flood\n", "od\n$ hi"]) expect(backlog.offer(bytes(each))).toBe(false);
  expect(backlog.drawn(5)).toBeNull();
  const rest = backlog.drawn(8);
  expect(text(rest?.tail)).toBe("od\n$ hi");
  expect(rest?.left).toBe("flood\nflood\n".length);
  expect(backlog.offer(bytes("on"))).toBe(true);
});

test("what comes after something was left out waits for its turn, also where there would be room", () => {
  const backlog = new Backlog(10, 100);
  backlog.offer(bytes("more than ten"));
  expect(backlog.offer(bytes("one "))).toBe(false);
  expect(backlog.drawn(8)).toBeNull();
  expect(backlog.offer(bytes("two"))).toBe(false);
  expect(backlog.drawn(5)).toEqual({ left: 0, tail: bytes("one two") });
});

test("a flood without an end of line keeps no more than it may", () => {
  const backlog = new Backlog(10, 8);
  backlog.offer(bytes("more than ten"));
  for (let count = 0; count < 1000; count += 1) backlog.offer(bytes("xxxxxxxxxxxxxxxx"));
  const rest = backlog.drawn(13);
  expect([rest?.left, rest?.tail.length]).toEqual([15_992, 8]);
});
