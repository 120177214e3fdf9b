/** What a host shows of itself, looked at again and again while somebody looks at the page. */

import { untrack } from "svelte";
import { resource, type Resource } from "./resource.svelte";

/** Looking takes the host some work: what takes it long is looked at less often, and so is what can't be had. */
const SHARE = 4;
const AFTER_TROUBLE = 15_000;

/**
 * Looks at once, and `every` so many milliseconds after each answer while `wanted` is true and the page is in sight:
 * no event tells of what comes and goes on a host. Never twice at a time. For use while a component is made.
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
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = (): void => {
      timer = setTimeout(again, Math.max(found.error ? AFTER_TROUBLE : every, took * SHARE));
    };
    function again(): void {
      if (!document.hidden && !found.loading) found.reload();
      soon();
    }
    function seen(): void {
      if (document.hidden) return;
      clearTimeout(timer);
      again();
    }
    document.addEventListener("visibilitychange", seen);
    // What was not wanted for a while is old.
    untrack(again);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  });
  return found;
}
