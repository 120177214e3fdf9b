/** Commands whose answer is looked at as soon as it is there. */

import { get, post } from "../../api/http";
import { onceKey } from "../../logic/once";
import type { CommandView, Queued } from "../../api/schema";
import { oneLine } from "../../logic/text";
import { isOver } from "../dispatching";

const LIVES = 60;
const WAIT = 20;

/** Has a host do something and gives what it answered; throws with its reason when it could not. */
export async function asked<T>(agent: string, type: string, params: Record<string, unknown>, signal?: AbortSignal): Promise<T> {
  const commands = `/api/agents/${encodeURIComponent(agent)}/commands`;
  const sent = await post<Queued>(commands, { type, params, ttl: LIVES }, onceKey());
  for (;;) {
    const view = await get<CommandView>(`${commands}/${sent.command_id}`, { wait: WAIT }, signal);
    if (!isOver(view.status)) continue;
    if (view.status !== "succeeded") throw new Error(reasonOf(view));
    return JSON.parse(view.stdout) as T;
  }
}

function reasonOf(view: CommandView): string {
  if (view.reason) return oneLine(view.reason).slice(0, 1000);
  return view.status === "expired" ? "The host did not answer in time." : `The host could not do it (${view.status.replaceAll("_", " ")}).`;
}
