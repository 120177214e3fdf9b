/** The rooms, and which address leads to which page of which room. */

import type { Role } from "../api/schema";
import type { IconName } from "../design/Icon.svelte";

export type Room = { path: string; title: string; icon: IconName; keys: string; role: Role };

/** In the order in which they are listed; who has less than the role does not see the room. */
export const ROOMS: readonly Room[] = [
  { path: "/", title: "Overview", icon: "overview", keys: "g o", role: "viewer" },
  { path: "/hosts", title: "Hosts", icon: "hosts", keys: "g h", role: "viewer" },
  { path: "/commands", title: "Commands", icon: "commands", keys: "g c", role: "viewer" },
  { path: "/schedules", title: "Schedules", icon: "schedules", keys: "g s", role: "operator" },
  { path: "/enrol", title: "Enrol", icon: "enrol", keys: "g e", role: "admin" },
  { path: "/groups", title: "Groups", icon: "groups", keys: "g r", role: "viewer" },
  { path: "/alerts", title: "Alerts", icon: "alerts", keys: "g a", role: "viewer" },
  { path: "/access", title: "Access", icon: "access", keys: "g u", role: "admin" },
  { path: "/audit", title: "Audit", icon: "audit", keys: "g l", role: "admin" },
  { path: "/settings", title: "Settings", icon: "settings", keys: "g ,", role: "viewer" },
];

export type Deed = { text: string; icon: IconName; role: Role; path: string; query?: Record<string, string> };

/** What the palette offers besides the rooms: where something is done at once, or a look that is often wanted. */
export const DEEDS: readonly Deed[] = [
  { text: "Run a command", icon: "commands", role: "operator", path: "/commands", query: { new: "1" } },
  { text: "New schedule", icon: "schedules", role: "operator", path: "/schedules", query: { new: "1" } },
  { text: "New group", icon: "groups", role: "admin", path: "/groups", query: { new: "1" } },
  { text: "New alert rule", icon: "alerts", role: "admin", path: "/alerts/rules", query: { new: "1" } },
  { text: "New silence", icon: "alerts", role: "operator", path: "/alerts/silences", query: { new: "1" } },
  { text: "Make an enrolment key", icon: "enrol", role: "admin", path: "/enrol/keys", query: { new: "1" } },
  { text: "Deploy to hosts over SSH", icon: "enrol", role: "admin", path: "/enrol/deploy", query: { new: "1" } },
  { text: "Hosts that wait for approval", icon: "alert", role: "viewer", path: "/hosts", query: { target: "status:pending" } },
  { text: "Hosts that are offline", icon: "hosts", role: "viewer", path: "/hosts", query: { target: "status:offline" } },
];

/** Each page's addresses; a part that begins with a colon is a value of the page. The first that fits is it. */
const PAGES = {
  overview: ["/"],
  hosts: ["/hosts"],
  host: ["/hosts/:id", "/hosts/:id/:tab"],
  commands: ["/commands"],
  dispatch: ["/commands/:id"],
  schedules: ["/schedules"],
  schedule: ["/schedules/:id"],
  groups: ["/groups"],
  profiles: ["/groups/profiles"],
  profile: ["/groups/profiles/:id"],
  group: ["/groups/:id"],
  alerts: ["/alerts", "/alerts/:tab"],
  access: ["/access"],
  user: ["/access/:id"],
  audit: ["/audit"],
  account: ["/account"],
  enrol: ["/enrol", "/enrol/:tab"],
  deployment: ["/enrol/deploy/:id"],
  settings: ["/settings"],
  components: ["/components"],
} as const;

export type PageName = keyof typeof PAGES;
export type View = { page: PageName | "nowhere"; room: string; values: Record<string, string> };

/** Finds what an address shows. */
export function viewOf(path: string): View {
  const parts = path.replace(/\/$/, "").split("/").slice(1);
  for (const [page, patterns] of Object.entries(PAGES) as [PageName, readonly string[]][])
    for (const pattern of patterns) {
      const values = valuesOf(pattern, parts);
      if (values) return { page, room: `/${parts[0] ?? ""}`, values };
    }
  return { page: "nowhere", room: "", values: {} };
}

function valuesOf(pattern: string, parts: readonly string[]): Record<string, string> | null {
  const wanted = pattern === "/" ? [] : pattern.split("/").slice(1);
  if (wanted.length !== parts.length) return null;
  const values: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const given = parts[at] ?? "";
    if (part.startsWith(":")) values[part.slice(1)] = given;
    else if (part !== given) return null;
  }
  return values;
}
