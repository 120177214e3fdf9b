/** What there is of alerts, each with an address of its own. */

import type { Component } from "svelte";

export type AlertsTab = { key: string; title: string; load: () => Promise<{ default: Component }> };

export const TABS: readonly AlertsTab[] = [
  { key: "", title: "Now", load: () => import("./Now.svelte") },
  { key: "rules", title: "Rules", load: () => import("./Rules.svelte") },
  { key: "silences", title: "Silences", load: () => import("./Silences.svelte") },
  { key: "channels", title: "Channels", load: () => import("./Channels.svelte") },
  { key: "history", title: "History", load: () => import("./History.svelte") },
];
