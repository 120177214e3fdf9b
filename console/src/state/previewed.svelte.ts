/** Whom a target means, asked while it is typed. */

import { post } from "../api/http";
import type { TargetPreview } from "../api/schema";

const PAUSE = 250;

export type Previewed = { readonly preview: TargetPreview | null; readonly error: unknown; readonly asking: boolean };

/** Follows `target`; for use while a component is made. An empty target means nobody yet. */
export function previewed(target: () => string, limit = 50): Previewed {
  let preview = $state.raw<TargetPreview | null>(null);
  let error = $state.raw<unknown>(null);
  let asking = $state(false);
  let number = 0;

  $effect(() => {
    const wanted = target().trim();
    number += 1;
    const mine = number;
    if (wanted === "") {
      preview = null;
      error = null;
      asking = false;
      return;
    }
    asking = true;
    const timer = setTimeout(() => {
      post<TargetPreview>("/api/targets/preview", { target: wanted, limit })
        .then(
          (found) => {
            if (mine !== number) return;
            preview = found;
            error = null;
          },
          (problem: unknown) => {
            if (mine !== number) return;
            preview = null;
            error = problem;
          },
        )
        .finally(() => {
          if (mine === number) asking = false;
        });
    }, PAUSE);
    return () => clearTimeout(timer);
  });

  return {
    get preview() {
      return preview;
    },
    get error() {
      return error;
    },
    get asking() {
      return asking;
    },
  };
}
