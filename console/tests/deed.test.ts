import { expect, test } from "vitest";
import { attempt, Deed } from "../src/state/deed.svelte";
import { dismiss, notes } from "../src/state/toasts.svelte";

test("a deed is done once at a time, and says so", async () => {
  const deed = new Deed();
  let done = 0;
  let finish = (): void => undefined;
  const first = deed.run(() => new Promise<void>((resolve) => (finish = resolve)).then(() => (done += 1)));
  expect(deed.busy).toBe(true);
  expect(await deed.run(async () => (done += 10))).toBe(false);
  finish();
  expect(await first).toBe(true);
  expect([done, deed.busy, deed.error]).toEqual([1, false, null]);
});

test("what went wrong is kept until the next deed, which may be tried at once", async () => {
  const deed = new Deed();
  const wrong = new Error("The center can't be reached.");
  expect(await deed.run(() => Promise.reject(wrong))).toBe(false);
  expect([deed.busy, deed.error]).toEqual([false, wrong]);
  expect(await deed.run(async () => undefined)).toBe(true);
  expect(deed.error).toBeNull();
});

test("a deed without a place on the page complains in a note", async () => {
  expect(await attempt(async () => undefined)).toBe(true);
  expect(notes.all).toEqual([]);
  expect(await attempt(() => Promise.reject(new Error("No.")))).toBe(false);
  expect(notes.all.map((each) => each.tone)).toEqual(["bad"]);
  for (const each of notes.all) dismiss(each.id);
});
