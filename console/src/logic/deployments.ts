/** What a deployment over SSH tells, in the order of its steps, and what helps where one failed. */

import type { DeploymentView, StepNote } from "../api/schema";

export const STEPS = [
  ["connect", "Connect"],
  ["authenticate", "Sign in"],
  ["preflight", "Look at the host"],
  ["copy", "Bring the agent"],
  ["start", "Start it"],
  ["online", "Wait until it is online"],
] as const;

export type Standing = "waits" | "runs" | "done" | "failed" | "left";
export type Step = { key: string; title: string; standing: Standing; notes: string[]; seconds: number | null };

type Course = Pick<DeploymentView, "state" | "step" | "finished">;

/** Gives each step as it stands, after all that was told so far. */
export function stepsOf(course: Course, told: readonly StepNote[]): Step[] {
  return STEPS.map(([key, title]) => {
    const mine = told.filter((each) => each.step === key);
    const begun = mine.find((each) => each.state === "begun");
    const end = mine.find((each) => each.state === "done" || each.state === "failed");
    const notes = mine.map((each) => each.detail ?? "").filter((each) => each !== "");
    const seconds = begun && end ? Math.max(0, end.time - begun.time) : null;
    return { key, title, standing: standing(course, key, begun !== undefined, end?.state), notes, seconds };
  });
}

function standing(course: Course, key: string, begun: boolean, end: string | undefined): Standing {
  if (end === "done") return "done";
  if (end === "failed") return "failed";
  const over = course.finished !== null;
  if (over && course.state === "deployed") return "done";
  if (over && course.step === key) return course.state === "failed" ? "failed" : "left";
  if (over) return "left";
  return begun ? "runs" : "waits";
}

const TRIES: readonly [RegExp, string][] = [
  [/host.?key/, "If the host was set up anew, forget its remembered key below, then deploy again. If it was not, somebody may stand in between."],
  [/sudo/, "Check the sudo password, or sign in as root."],
  [/auth|credential|password|passphrase|key/, "Check the user name and what it signs in with; a passphrase belongs to its private key."],
];
const BY_STEP: Record<string, string> = {
  connect: "Check the address, the port, and that the center reaches it; a host behind another one needs a jump host.",
  authenticate: "Check the user name and what it signs in with: password, or a key that the host knows.",
  preflight: "The host needs python3 of 3.11 or newer, a way to become root, and a route to the center.",
  copy: "Look for room on the host's disk, then deploy again: it goes on from where the host is.",
  start: "What the host said below tells more.",
  online: "The host has to reach the center at its public address: check name, port and firewall.",
};

/** Says what to try after a failure. */
export function adviceFor(deployment: Pick<DeploymentView, "code" | "step" | "state">): string {
  if (deployment.state === "interrupted") return "The center ended in the middle of it. Deploy again: it goes on from where the host is.";
  const known = TRIES.find(([code]) => code.test(deployment.code.toLowerCase()));
  return known?.[1] ?? BY_STEP[deployment.step ?? ""] ?? "Deploy again.";
}

/** Picks the hosts whose newest deployment did not go well; `deployments` come newest first. */
export function stillFailed<T extends Pick<DeploymentView, "host" | "port" | "via" | "state">>(deployments: readonly T[]): T[] {
  const newest = new Map<string, T>();
  for (const each of deployments) {
    const place = `${each.host} ${each.port} ${each.via}`;
    if (!newest.has(place)) newest.set(place, each);
  }
  return [...newest.values()].filter((each) => each.state === "failed" || each.state === "interrupted");
}

export const isOver = (each: Pick<DeploymentView, "finished">): boolean => each.finished !== null;
