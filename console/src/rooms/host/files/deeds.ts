/**
 * New folders, other names and removing: the API of files only reads and writes, so these are commands of the host,
 * listed, audited and forbidden as such.
 */

import { get, post } from "../../../api/http";
import { onceKey } from "../../../logic/once";
import type { CommandView, Queued } from "../../../api/schema";
import { shellWord, type HostPath } from "../../../logic/paths";
import { oneLine } from "../../../logic/text";
import { isOver } from "../../dispatching";

/** Seconds for which the host may be away, and for which one question waits for the answer. */
const SOON = 15;
const AT_ONCE = 100;

async function run(agent: string, line: string): Promise<void> {
  const path = `/api/agents/${encodeURIComponent(agent)}/commands`;
  const { command_id: id } = await post<Queued>(path, { type: "shell", params: { command: line }, ttl: SOON }, onceKey());
  let view: CommandView;
  do view = await get<CommandView>(`${path}/${encodeURIComponent(id)}`, { wait: SOON });
  while (!isOver(view.status));
  if (view.status === "succeeded") return;
  if (view.status === "expired") throw new Error("The host was away, and nothing was done.");
  throw new Error(oneLine(view.stderr).slice(0, 500) || oneLine(view.reason) || `The host could not do it: ${view.status}.`);
}

export const makeFolder = (agent: string, path: HostPath): Promise<void> => run(agent, `mkdir -- ${shellWord(path)}`);

/** Gives another name; what has it already stays, and is told of. */
export const rename = (agent: string, from: HostPath, to: HostPath): Promise<void> => {
  const name = shellWord(to);
  return run(
    agent,
    `if [ -e ${name} ] || [ -L ${name} ]; then echo 'There is something of that name already.' >&2; exit 1; fi; mv -- ${shellWord(from)} ${name}`,
  );
};

/** Removes what is named, folders with all that is in them. */
export async function removeAll(agent: string, paths: readonly HostPath[]): Promise<void> {
  for (let at = 0; at < paths.length; at += AT_ONCE)
    await run(agent, `rm -r -f -- ${paths.slice(at, at + AT_ONCE).map(shellWord).join(" ")}`);
}
