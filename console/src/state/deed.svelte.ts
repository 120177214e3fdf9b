/** What a person does at the center: whether it is under way, and what went wrong. */

import { sentence } from "../api/http";
import { complain } from "./toasts.svelte";

/** A deed with a place on the page for what goes wrong. */
export class Deed {
  busy = $state(false);
  /** Why the last one could not be done; null while one is under way, and after one that was. */
  error = $state.raw<unknown>(null);

  /** Does it, and tells whether it was done; what is asked for while one is under way is not done. */
  async run(act: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.error = null;
    try {
      await act();
      return true;
    } catch (problem) {
      this.error = problem;
      return false;
    } finally {
      this.busy = false;
    }
  }
}

/** Does what has no place on the page for what goes wrong: a note says it. Tells whether it was done. */
export async function attempt(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (problem) {
    complain(sentence(problem));
    return false;
  }
}
