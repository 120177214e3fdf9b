/** Something loaded from the center, loaded again when it may have changed. */

import { onEvent, type Event } from "./live.svelte";

export type Resource<T> = {
  readonly value: T | null;
  readonly error: unknown;
  readonly loading: boolean;
  reload: () => void;
  set: (value: T) => void;
};

/**
 * Loads at once, and anew after events that `changes` picks and after missed ones; old answers never replace newer
 * ones, and a fleet in turmoil is asked about at most as often as the answers take. For use while a component is made.
 */
export function resource<T>(load: (signal: AbortSignal) => Promise<T>, changes: (event: Event) => boolean = () => false): Resource<T> {
  let value = $state.raw<T | null>(null);
  let error = $state.raw<unknown>(null);
  let loading = $state(true);
  let current: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let took = 0;

  async function run(): Promise<void> {
    current?.abort();
    const asked = new AbortController();
    current = asked;
    const began = performance.now();
    loading = true;
    try {
      const found = await load(asked.signal);
      if (asked.signal.aborted) return;
      value = found;
      error = null;
    } catch (problem) {
      if (asked.signal.aborted) return;
      error = problem;
    }
    took = performance.now() - began;
    loading = false;
    if (current === asked) current = undefined;
  }

  function soon(): void {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        void run();
      },
      Math.min(5000, 150 + took * 3),
    );
  }

  $effect(() => {
    // What `load` reads of the page's state is what it depends on.
    void run();
    return () => current?.abort();
  });
  $effect(() => {
    const stop = onEvent((event) => {
      if (event === null || changes(event)) soon();
    });
    return () => {
      stop();
      clearTimeout(timer);
      timer = undefined;
    };
  });

  return {
    get value() {
      return value;
    },
    get error() {
      return error;
    },
    get loading() {
      return loading;
    },
    reload: () => void run(),
    set(found: T) {
      value = found;
    },
  };
}
