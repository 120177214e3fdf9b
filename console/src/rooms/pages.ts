/** The pages: those of the first look come with the console, the others when they are first opened. */

import type { Component } from "svelte";
import Hosts from "./Hosts.svelte";
import Overview from "./Overview.svelte";
import type { PageName } from "./places";

/** Takes the values that its addresses in places.ts name. */
// What these are differs from page to page, which the table's type can't say.
type Page = Component<any>;

export const AT_ONCE: Partial<Record<PageName, Page>> = { overview: Overview, hosts: Hosts };

export const LATER: Partial<Record<PageName, () => Promise<{ default: Page }>>> = {
  host: () => import("./host/Host.svelte"),
  commands: () => import("./Commands.svelte"),
  dispatch: () => import("./Dispatch.svelte"),
  schedules: () => import("./schedules/Schedules.svelte"),
  schedule: () => import("./schedules/Schedule.svelte"),
  groups: () => import("./groups/Groups.svelte"),
  profiles: () => import("./groups/Profiles.svelte"),
  profile: () => import("./groups/Profile.svelte"),
  group: () => import("./groups/Group.svelte"),
  alerts: () => import("./alerts/Alerts.svelte"),
  access: () => import("./access/Access.svelte"),
  user: () => import("./access/User.svelte"),
  audit: () => import("./audit/Audit.svelte"),
  account: () => import("./account/Account.svelte"),
  enrol: () => import("./enrol/Enrol.svelte"),
  deployment: () => import("./enrol/Deployment.svelte"),
  settings: () => import("./settings/Settings.svelte"),
  components: () => import("./Components.svelte"),
};
