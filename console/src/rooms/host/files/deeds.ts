/** New folders, other names and deleting, by the API of files: the host's policy binds them as it binds uploads. */

import { ApiError, post, remove } from "../../../api/http";
import type { DeletedView, FiledView, FileView } from "../../../api/schema";
import { child, type HostPath } from "../../../logic/paths";

const files = (agent: string): string => `/api/agents/${encodeURIComponent(agent)}/files`;

export const makeFolder = (agent: string, path: HostPath): Promise<FiledView> => post<FiledView>(`${files(agent)}/folders?path=${path}`);

/** Makes a folder where none is; one that is there already is as good. */
export async function haveFolder(agent: string, path: HostPath): Promise<void> {
  try {
    await makeFolder(agent, path);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "file_exists")) throw error;
  }
}

/** Gives another name; what has it already stays, and is told of. */
export const rename = (agent: string, from: HostPath, to: HostPath): Promise<FiledView> =>
  post<FiledView>(`${files(agent)}/move?path=${from}&to=${to}`);

/** Deletes entries of a folder one after the other, folders with all that is in them; what has gone meanwhile is as good. */
export async function removeAll(
  agent: string,
  folder: HostPath,
  entries: readonly Pick<FileView, "name" | "encoded" | "kind">[],
  { done, signal }: { done: (entries: number) => void; signal: AbortSignal },
): Promise<void> {
  for (const [at, entry] of entries.entries()) {
    try {
      const recursive = entry.kind === "folder" ? "&recursive=true" : "";
      await remove<DeletedView>(`${files(agent)}?path=${child(folder, entry)}${recursive}`, undefined, signal);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "not_found")) throw error;
    }
    done(at + 1);
  }
}
