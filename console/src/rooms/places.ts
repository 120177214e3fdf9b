/** The rooms, and which address leads to which. */

import type { IconName } from "../design/Icon.svelte";

export type Room = { path: string; title: string; icon: IconName; keys: string };
export const ROOMS: readonly Room[] = [
  { path: "/", title: "Overview", icon: "overview", keys: "g o" },
  { path: "/hosts", title: "Hosts", icon: "hosts", keys: "g h" },
  { path: "/commands", title: "Commands", icon: "commands", keys: "g c" },
];

export type View =
  | { room: "overview" | "hosts" | "commands" | "components" | "nowhere" }
  | { room: "host" | "dispatch"; id: string };

/** Finds what an address shows. */
export function viewOf(path: string): View {
  const [first = "", second, ...more] = path.split("/").slice(1);
  if (more.length === 0 || (more.length === 1 && more[0] === "")) {
    if (first === "" && !second) return { room: "overview" };
    if (first === "hosts") return second ? { room: "host", id: second } : { room: "hosts" };
    if (first === "commands") return second ? { room: "dispatch", id: second } : { room: "commands" };
    if (first === "components" && !second) return { room: "components" };
  }
  return { room: "nowhere" };
}
