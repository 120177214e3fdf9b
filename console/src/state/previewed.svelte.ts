/** Whom a target means, asked while it is typed. */

import { ApiError, post } from "../api/http";
import type { TargetPreview } from "../api/schema";
import { asked } from "./asked.svelte";

export type Previewed = {
  readonly preview: TargetPreview | null;
  readonly error: unknown;
  /** The error where it is in what was written, and not in asking. */
  readonly wrong: ApiError | null;
  readonly asking: boolean;
};

/** Follows `target`; for use while a component is made. An empty target means nobody yet. */
export function previewed(target: () => string, limit = 50): Previewed {
  const told = asked(target, (wanted) => post<TargetPreview>("/api/targets/preview", { target: wanted, limit }));
  return {
    get preview() {
      return told.answer;
    },
    get error() {
      return told.error;
    },
    get wrong() {
      const error = told.error;
      return error instanceof ApiError && (error.code === "invalid_target" || error.code === "empty_target") ? error : null;
    },
    get asking() {
      return told.asking;
    },
  };
}
