/** Server-sent events over fetch: all kinds, the answer's status, and a cursor that is ours to keep. */

import { ApiError, refusal } from "./http";

export type SseEvent = { kind: string; data: string; id: string };

/** Turns text into events, however it is cut; `id` is the last one that was told. */
export class SseParser {
  id = "";
  #rest = "";
  #kind = "";
  #data: string[] = [];

  feed(text: string): SseEvent[] {
    const found: SseEvent[] = [];
    // A CR at the end may be half of a CRLF: it waits for what follows.
    const whole = this.#rest + text;
    const held = whole.endsWith("\r") ? whole.length - 1 : whole.length;
    const lines = whole.slice(0, held).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + whole.slice(held);
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0)
          found.push({ kind: this.#kind || "message", data: this.#data.join("\n"), id: this.id });
        this.#kind = "";
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") this.#data.push(value);
      else if (name === "event") this.#kind = value;
      else if (name === "id" && !value.includes("\0")) this.id = value;
    }
    return found;
  }
}

export type Follower = {
  /** Called for each event, in order. */
  event: (event: SseEvent) => void;
  /** Called when the stream opens; `resumed` when it goes on after what was told before. */
  open?: (resumed: boolean) => void;
  /** Called when it is away; it is tried again by itself unless `error` says that the center refused. */
  away?: (error: unknown) => void;
  /** Kinds of events after which the stream is over for good. */
  last?: readonly string[];
};

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** The center says something at least every fifteen seconds; a stream that is silent for longer is dead. */
const SILENT_FOR = 40_000;

/**
 * Follows a stream until `stop` is called or it is over; cut off, it goes on where it was.
 * While nobody looks at the page the connection is closed: browsers allow few of them to one center.
 */
export function follow(path: string, follower: Follower): () => void {
  let stopped = false;
  let cursor = "";
  let wait = FIRST_WAIT;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let cutting: AbortController | undefined;

  function again(): void {
    if (stopped || document.hidden) return;
    clearTimeout(timer);
    timer = setTimeout(() => void run(), wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function seen(): void {
    if (document.hidden) {
      cutting?.abort();
    } else if (cutting === undefined) {
      wait = FIRST_WAIT;
      clearTimeout(timer);
      void run();
    }
  }

  async function run(): Promise<void> {
    const cut = new AbortController();
    cutting = cut;
    let silent: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(silent);
      silent = setTimeout(() => cut.abort(), SILENT_FOR);
    };
    try {
      heard();
      const answer = await fetch(path, {
        headers: { Accept: "text/event-stream", ...(cursor ? { "Last-Event-ID": cursor } : {}) },
        credentials: "same-origin",
        cache: "no-store",
        signal: cut.signal,
      });
      if (!answer.ok || answer.body === null) throw await refusal(answer, path);
      follower.open?.(cursor !== "");
      wait = FIRST_WAIT;
      const parser = new SseParser();
      parser.id = cursor;
      const reader = answer.body.getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || stopped) break;
        heard();
        for (const event of parser.feed(decoder.decode(value, { stream: true }))) {
          if (stopped) break;
          cursor = event.id;
          follower.event(event);
          if (follower.last?.includes(event.kind)) {
            stop();
            return;
          }
        }
      }
      if (!stopped && !document.hidden) follower.away?.(null);
    } catch (error) {
      if (stopped) return;
      if (!document.hidden || error instanceof ApiError) follower.away?.(error);
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        stop();
        return;
      }
    } finally {
      clearTimeout(silent);
      cut.abort();
      if (cutting === cut) cutting = undefined;
    }
    again();
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    cutting?.abort();
    document.removeEventListener("visibilitychange", seen);
  }

  document.addEventListener("visibilitychange", seen);
  if (!document.hidden) void run();
  return stop;
}
