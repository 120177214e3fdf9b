/** Uploads of this page: they go on while another room is looked at, two at a time. */

import { ApiError, get, sentence } from "../../../api/http";
import { onceKey } from "../../../logic/once";
import type { FileView } from "../../../api/schema";
import { child, type HostPath } from "../../../logic/paths";
import { send } from "./upload";

export type UploadState = "waiting" | "sending" | "cut" | "done" | "failed" | "cancelled";
const AT_ONCE = 2;
/** An upload that is cut begins anew, since a host keeps nothing of one; so many times by itself. */
const TRIES = 3;
/** Seconds before the first look whether the host can be reached again, before the others, and how many looks. */
const FIRST_AFTER = 1;
const LOOK_AFTER = 3;
const LOOKS = 200;

export class Upload {
  readonly id = onceKey();
  readonly agent: string;
  readonly folder: HostPath;
  readonly file: File;
  readonly dest: HostPath;
  readonly name: string;
  overwrite: boolean;
  sent = $state(0);
  state = $state<UploadState>("waiting");
  error = $state("");
  tries = $state(1);
  #stop: (() => void) | undefined;

  /** `parts` is where it goes below the folder: its name, or folders that are there and its name. */
  constructor(agent: string, folder: HostPath, file: File, overwrite: boolean, parts: readonly string[] = [file.name]) {
    this.agent = agent;
    this.folder = folder;
    this.file = file;
    this.overwrite = overwrite;
    this.name = parts.join("/");
    this.dest = parts.reduce((at, name) => child(at, { name }), folder);
  }

  async run(): Promise<void> {
    this.tries = 1;
    try {
      for (;;) {
        try {
          await this.#send();
          break;
        } catch (error) {
          if (!(error instanceof ApiError && error.status === 0) || this.tries >= TRIES) throw error;
          await this.#reached();
          this.tries += 1;
        }
      }
      this.sent = this.file.size;
      this.state = "done";
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") this.state = "cancelled";
      else {
        this.state = "failed";
        const landed = this.tries > 1 && error instanceof ApiError && error.code === "file_exists";
        this.error = landed ? "Something of this name is there: the try before may have put it there. Look at it." : sentence(error);
      }
    }
    this.#stop = undefined;
  }

  async #send(): Promise<void> {
    this.state = "sending";
    this.error = "";
    this.sent = 0;
    const { done, stop } = send(this.agent, this.file, this.dest, { overwrite: this.overwrite, progress: (sent) => (this.sent = sent) });
    this.#stop = stop;
    await done;
  }

  /** Waits until the host's folder can be seen again. */
  async #reached(): Promise<void> {
    this.state = "cut";
    const leaving = new AbortController();
    this.#stop = () => leaving.abort();
    for (let look = 1; ; look += 1)
      try {
        await pause(look === 1 ? FIRST_AFTER : LOOK_AFTER, leaving.signal);
        await get<FileView>(`/api/agents/${encodeURIComponent(this.agent)}/files/stat?path=${this.folder}`, {}, leaving.signal);
        return;
      } catch (error) {
        const away = error instanceof ApiError && (error.status === 0 || error.status >= 502 || error.code === "host_away");
        if (!away || look >= LOOKS) throw error;
      }
  }

  cancel(): void {
    if (this.state === "waiting") this.state = "cancelled";
    else this.#stop?.();
  }
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });
}

/** Whether there is still something to come of it. */
export const isUnderWay = (upload: Upload): boolean => upload.state === "waiting" || upload.state === "sending" || upload.state === "cut";

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
  const sending = uploads.filter((each) => each.state === "sending" || each.state === "cut").length;
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
  uploads = uploads.filter((each) => each.agent !== agent || isUnderWay(each));
}

addEventListener("beforeunload", (event) => {
  if (uploads.some(isUnderWay)) event.preventDefault();
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
