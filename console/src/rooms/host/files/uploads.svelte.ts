/** Uploads of this page: they go on while another room is looked at, two at a time. */

import { ApiError, get, sentence } from "../../../api/http";
import { onceKey } from "../../../logic/once";
import type { FileView } from "../../../api/schema";
import { child, type HostPath } from "../../../logic/paths";
import { send } from "./upload";

export type UploadState = "waiting" | "sending" | "done" | "failed" | "cancelled";
const AT_ONCE = 2;

export class Upload {
  readonly id = onceKey();
  readonly agent: string;
  readonly folder: HostPath;
  readonly file: File;
  readonly dest: HostPath;
  overwrite: boolean;
  sent = $state(0);
  state = $state<UploadState>("waiting");
  error = $state("");
  #stop: (() => void) | undefined;

  constructor(agent: string, folder: HostPath, file: File, overwrite: boolean) {
    this.agent = agent;
    this.folder = folder;
    this.file = file;
    this.overwrite = overwrite;
    this.dest = child(folder, { name: file.name });
  }

  async run(): Promise<void> {
    this.state = "sending";
    this.error = "";
    this.sent = 0;
    const { done, stop } = send(this.agent, this.file, this.dest, { overwrite: this.overwrite, progress: (sent) => (this.sent = sent) });
    this.#stop = stop;
    try {
      await done;
      this.sent = this.file.size;
      this.state = "done";
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") this.state = "cancelled";
      else {
        this.state = "failed";
        this.error = sentence(error);
      }
    }
    this.#stop = undefined;
  }

  cancel(): void {
    if (this.state === "waiting") this.state = "cancelled";
    else this.#stop?.();
  }
}

let uploads = $state.raw<Upload[]>([]);
const listeners = new Set<(upload: Upload) => void>();

export function uploadsTo(agent: string): Upload[] {
  return uploads.filter((each) => each.agent === agent);
}

/** Tells of each upload that has ended, until the returned function is called. */
export function onLanded(listener: (upload: Upload) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function next(): void {
  const sending = uploads.filter((each) => each.state === "sending").length;
  for (const upload of uploads.filter((each) => each.state === "waiting").slice(0, Math.max(0, AT_ONCE - sending)))
    void upload.run().then(() => {
      for (const listener of listeners) listener(upload);
      next();
    });
}

export function start(added: readonly Upload[]): void {
  uploads = [...uploads, ...added];
  next();
}

export function again(upload: Upload): void {
  upload.state = "waiting";
  next();
}

/** Takes those that have ended from the list. */
export function tidy(agent: string): void {
  uploads = uploads.filter((each) => each.agent !== agent || each.state === "waiting" || each.state === "sending");
}

addEventListener("beforeunload", (event) => {
  if (uploads.some((each) => each.state === "sending" || each.state === "waiting")) event.preventDefault();
});

/** Tells which of some names are taken in a folder already. */
export async function taken(agent: string, folder: HostPath, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names)
    try {
      await get<FileView>(`/api/agents/${encodeURIComponent(agent)}/files/stat?path=${child(folder, { name })}`);
      found.push(name);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  return found;
}
