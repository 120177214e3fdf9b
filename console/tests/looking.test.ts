import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepLooking } from "../src/logic/looking";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A host that is looked at on a page, and answers when `busy` is set to false. */
function host() {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const told = { page, looks: 0, busy: false, pause: 3000, stop: (): void => undefined };
  const look = (): void => {
    told.looks += 1;
    told.busy = true;
  };
  told.stop = keepLooking(page as unknown as Document, { busy: () => told.busy, look, pause: () => told.pause });
  return told;
}

test("it is looked again and again, never twice at a time, and no more after the end", () => {
  const told = host();
  expect(told.looks).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect(told.looks).toBe(1);
  told.busy = false;
  vi.advanceTimersByTime(3000);
  expect(told.looks).toBe(2);
  told.busy = false;
  told.pause = 15_000;
  vi.advanceTimersByTime(3000);
  told.busy = false;
  vi.advanceTimersByTime(14_000);
  expect(told.looks).toBe(3);
  told.stop();
  told.page.dispatchEvent(new Event("visibilitychange"));
  vi.advanceTimersByTime(60_000);
  expect(told.looks).toBe(3);
});

test("nobody looks while the page is out of sight, and at once when it is seen again", () => {
  const told = host();
  told.busy = false;
  told.page.hidden = true;
  told.page.dispatchEvent(new Event("visibilitychange"));
  vi.advanceTimersByTime(60_000);
  expect(told.looks).toBe(1);
  told.page.hidden = false;
  told.page.dispatchEvent(new Event("visibilitychange"));
  expect(told.looks).toBe(2);
  told.busy = false;
  vi.advanceTimersByTime(3000);
  expect(told.looks).toBe(3);
  told.stop();
});
