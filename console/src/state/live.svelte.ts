/** What changes on the server, told to whoever shows it: one connection for the whole page. */

import { follow } from "../api/sse";

export type Event = { position: number; time: number; kind: string; subject: string; data: Record<string, unknown> };
/** An event; null when some were missed and what is shown has to be loaded anew. */
type Listener = (event: Event | null) => void;

let connected = $state(false);
let since = $state<number | null>(null);
let recent = $state.raw<Event[]>([]);
const listeners = new Set<Listener>();
const KEPT = 60;

export const live = {
  /** Whether the page is told of changes at this moment. */
  get connected(): boolean {
    return connected;
  },
  /** Since when it is not (unix seconds); null while it is, or was never. */
  get awaySince(): number | null {
    return since;
  },
  /** The newest events that this page was told, newest first. */
  get recent(): Event[] {
    return recent;
  },
};

/** Listens until the returned function is called. */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Opens the connection; call what it returns to close it. */
export function openLive(): () => void {
  let before = false;
  const stop = follow("/api/events", {
    open(resumed) {
      connected = true;
      since = null;
      // Without a position nobody can say what happened in between.
      if (before && !resumed) tell(null);
      before = true;
    },
    away() {
      connected = false;
      since ??= Date.now() / 1000;
    },
    event({ kind, data }) {
      if (kind === "missed") {
        tell(null);
        return;
      }
      const event = JSON.parse(data) as Event;
      recent = [event, ...recent].slice(0, KEPT);
      tell(event);
    },
  });
  return () => {
    stop();
    connected = false;
    since = null;
    recent = [];
  };
}

function tell(event: Event | null): void {
  for (const listener of listeners) listener(event);
}
