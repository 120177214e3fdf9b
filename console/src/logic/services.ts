/** What may be done with a service of a host, as systemd tells of it. */

export type Action = "start" | "stop" | "restart" | "enable" | "disable";
export type Deed = { action: Action; text: string; danger: boolean; why: string };
type Told = { name: string; load: string; active: string; enabled: string };

const DEEDS: Record<Action, Omit<Deed, "action">> = {
  start: { text: "Start", danger: false, why: "" },
  stop: { text: "Stop", danger: true, why: "It stays stopped until somebody starts it, or the host starts anew." },
  restart: { text: "Restart", danger: true, why: "Whoever uses it meanwhile is cut off." },
  enable: { text: "Enable at boot", danger: false, why: "It begins with the host from now on; it is not started now." },
  disable: { text: "Disable at boot", danger: true, why: "It begins with the host no more; it is not stopped now." },
};

/** Gives what fits how a service is: what is masked can't run, and what is static begins with another one. */
export function deedsOf({ load, active, enabled }: Told): Deed[] {
  const actions: Action[] = [];
  if (active === "active" || active === "activating" || active === "reloading") actions.push("restart", "stop");
  else if (load !== "masked" && load !== "error") actions.push("start");
  if (enabled === "enabled") actions.push("disable");
  if (enabled === "disabled" && load !== "masked") actions.push("enable");
  return actions.map((action) => ({ action, ...DEEDS[action] }));
}

const ORDER = ["failed", "activating", "deactivating", "reloading", "active", "inactive"];

/** Compares so that what needs somebody stands first, and what does nothing last. */
export const byTrouble = (a: Told, b: Told): number => placeOf(a) - placeOf(b) || a.name.localeCompare(b.name);

function placeOf({ active }: Told): number {
  const place = ORDER.indexOf(active);
  return place < 0 ? ORDER.length : place;
}
