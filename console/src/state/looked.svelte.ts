/** What no event tells of, looked at again and again while somebody looks at the page. */

import { untrack } from "svelte";
import { keepLooking } from "../logic/looking";
import type { Event } from "./live.svelte";
import { resource, type Resource } from "./resource.svelte";

/** Looking is work for whoever answers: what takes long is looked at less often, and so is what can't be had. */
const SHARE = 4;
const AFTER_TROUBLE = 15_000;

/**
 * Looks at once, and every so many milliseconds while `wanted` is true and the page is in sight. Never twice at a time.
 * `changes` picks the events that tell of some of it, as with `resource`. For use while a component is made.
 */
export function looked<T>(
  look: (signal: AbortSignal) => Promise<T>,
  wanted: () => boolean,
  every: number,
  changes?: (event: Event) => boolean,
): Resource<T> {
  let took = 0;
  const found = resource(async (signal) => {
    const began = performance.now();
    try {
      return await look(signal);
    } finally {
      took = performance.now() - began;
    }
  }, changes);

  // Derived, so that what it reads changes without looking anew.
  const on = $derived(wanted());
  $effect(() => {
    if (!on) return;
    // Its own answers must not begin it anew.
    return untrack(() =>
      keepLooking(document, {
        busy: () => found.loading,
        look: found.reload,
        pause: () => Math.max(found.error ? AFTER_TROUBLE : every, took * SHARE),
      }),
    );
  });
  return found;
}
