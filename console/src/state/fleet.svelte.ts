/** The words that targets are made of: known hosts' names, tags, systems, and groups. Loaded when first asked for. */

import { get } from "../api/http";
import type { AgentSummary, GroupView } from "../api/schema";
import type { Knowledge } from "../logic/target_completion";

let known = $state.raw<Knowledge>({ hosts: [], tags: [], groups: [], systems: [] });
let loadedAt = 0;
const FRESH_FOR = 60_000;

export const words = {
  get known(): Knowledge {
    return known;
  },
};

/** Learns from a list of hosts that was loaded anyway. */
export function learn(agents: readonly AgentSummary[]): void {
  known = { ...known, ...wordsOf(agents) };
}

export async function loadWords(): Promise<void> {
  if (Date.now() - loadedAt < FRESH_FOR) return;
  loadedAt = Date.now();
  try {
    const [agents, groups] = await Promise.all([
      get<AgentSummary[]>("/api/agents", { limit: 10_000 }),
      get<GroupView[]>("/api/groups"),
    ]);
    known = { ...wordsOf(agents), groups: groups.map((each) => each.name) };
  } catch {
    // Completion is a help: without it a target can still be typed, and what is wrong shows where it is used.
    loadedAt = 0;
  }
}

function wordsOf(agents: readonly AgentSummary[]): Omit<Knowledge, "groups"> {
  const hosts = new Set<string>();
  const tags = new Set<string>();
  const systems = new Set<string>();
  for (const each of agents) {
    hosts.add(each.label || each.hostname);
    for (const tag of each.tags) {
      tags.add(tag);
      const equals = tag.indexOf("=");
      if (equals > 0) tags.add(tag.slice(0, equals));
    }
    const system = each.os.split(" ")[0]?.toLowerCase();
    if (system) systems.add(system);
  }
  return { hosts: [...hosts], tags: [...tags], systems: [...systems] };
}

/** What a host is called. */
export function nameOf(host: { label: string; hostname: string; id?: string; agent_id?: string }): string {
  return host.label || host.hostname || host.id || host.agent_id || "";
}
