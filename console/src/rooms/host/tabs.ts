/** What there is of a host, each with an address of its own beneath the host's. */

import type { Component } from "svelte";
import type { AgentView, Role } from "../../api/schema";

type Shown = Component<{ view: AgentView; changed: (view: AgentView) => void }>;
export type HostTab = { key: string; title: string; role: Role; load: () => Promise<{ default: Shown }> };

/** In the order in which they are listed. All but the first are for hosts that were approved. */
export const TABS: readonly HostTab[] = [
  { key: "", title: "Summary", role: "viewer", load: () => import("./Summary.svelte") },
  { key: "terminal", title: "Terminal", role: "operator", load: () => import("./terminal/Terminal.svelte") },
  { key: "files", title: "Files", role: "operator", load: () => import("./files/Files.svelte") },
  { key: "processes", title: "Processes", role: "operator", load: () => import("./processes/Processes.svelte") },
  { key: "services", title: "Services", role: "operator", load: () => import("./services/Services.svelte") },
  { key: "logs", title: "Logs", role: "operator", load: () => import("./logs/Logs.svelte") },
  { key: "microservices", title: "Microservices", role: "viewer", load: () => import("./microservices/Microservices.svelte") },
  { key: "agent", title: "Agent", role: "viewer", load: () => import("./agent/Agent.svelte") },
];
