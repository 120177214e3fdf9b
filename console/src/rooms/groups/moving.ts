/** Which events move hosts into groups and out of them. */

import type { Event } from "../../state/live.svelte";

const MOVING: ReadonlySet<string> = new Set(["agent.groups_changed", "agent.changed", "agent.deleted"]);

export function movesMembers(event: Event): boolean {
  return event.kind.startsWith("group.") || MOVING.has(event.kind);
}
