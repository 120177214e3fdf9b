/** What came of a schedule's times. */

import type { FiringState } from "../../api/schema";
import type { Tone } from "../../design/Badge.svelte";

const TONES: Record<FiringState, Tone> = { claimed: "info", fired: "ok", failed: "bad", missed: "warn" };

export function toneOfFiring(state: FiringState): Tone {
  return TONES[state];
}
