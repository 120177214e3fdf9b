/** What a host shows of itself, looked at again and again while somebody looks at the page. */

import { untrack } from "svelte";
import { keepLooking } from "../logic/looking";
import { resource, type Resource } from "./resource.svelte";

/** Looking takes the host some work: what takes it long is looked at less often, and so is what can't be had. */
const SHARE = 4;
const AFTER_TROUBLE = 15_000;

/**
 * Looks at once, and every so many milliseconds while `wanted` is true and the page is in sight: no event tells of what
 * comes and goes on a host. Never twice at a time. For use while a component is made.
 */
export function looked<T>(look: (signal: AbortSignal) => Promise<T>, wanted: () => boolean, every: number): Resource<T> {
  let took = 0;
  const found = resource(async (signal) => {
    const began = performance.now();
    try {
      return await look(signal);
    } finally {
      took = performance.now() - began;
    }
  });

  $effect(() => {
    if (!wanted()) return;
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
