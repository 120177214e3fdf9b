/** Something the center tells of in no event: it is asked for each second while somebody looks. */

import { resource, type Resource } from "../../state/resource.svelte";

const EVERY = 1000;

export function polled<T>(load: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const found = resource(load, (event) => event.kind === "session.ended");
  $effect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && !found.loading) found.reload();
    }, EVERY);
    return () => clearInterval(timer);
  });
  return found;
}
