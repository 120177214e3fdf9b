/** Columns of a host's figures: what history gave, and what comes live behind it. */

import type { History } from "../api/schema";

export type Figures = { cpu: number | null; memory: number | null; load: number | null; received: number | null; sent: number | null };
export type Table = { times: number[] } & { [name in keyof Figures]: (number | null)[] };
const NAMES = ["cpu", "memory", "load", "received", "sent"] as const;

export function emptyTable(): Table {
  return { times: [], cpu: [], memory: [], load: [], received: [], sent: [] };
}

/** Takes what a chart shows out of a history; several cards count together. */
export function tableOf(history: History): Table {
  const length = history.times.length;
  const mean = (name: string): (number | null)[] => history.series[name]?.mean ?? new Array<null>(length).fill(null);
  const sum = (prefix: string): (number | null)[] => {
    const all = Object.keys(history.series).filter((name) => name.startsWith(prefix) && name !== `${prefix}lo`);
    return history.times.map((_, at) => {
      const values = all.map((name) => history.series[name]?.mean[at]).filter((value) => value !== null && value !== undefined);
      return values.length === 0 ? null : values.reduce((total, value) => total + value, 0);
    });
  };
  return {
    times: [...history.times],
    cpu: [...mean("cpu_percent")],
    memory: [...mean("mem_percent")],
    load: [...mean("load_1")],
    received: sum("net_received_bytes:"),
    sent: sum("net_sent_bytes:"),
  };
}

type Snapshot = {
  time: number;
  cpu_percent?: number | null;
  mem_percent?: number | null;
  load?: { one: number } | null;
  cards?: { name: string; received_bytes: number; sent_bytes: number }[];
};

export function figuresOf(snapshot: Snapshot): Figures {
  const cards = (snapshot.cards ?? []).filter((each) => each.name !== "lo");
  const sum = (key: "received_bytes" | "sent_bytes"): number | null =>
    cards.length === 0 ? null : cards.reduce((total, each) => total + (each[key] ?? 0), 0);
  return {
    cpu: snapshot.cpu_percent ?? null,
    memory: snapshot.mem_percent ?? null,
    load: snapshot.load?.one ?? null,
    received: sum("received_bytes"),
    sent: sum("sent_bytes"),
  };
}

/**
 * Gives the table with a reading at its end and none older than `since`, so that it stays of one size for as long as
 * it is watched. A reading that is no newer than the last changes nothing; after a gap a hole is left.
 */
export function appended(table: Table, time: number, figures: Figures, since: number, gap: number): Table {
  const last = table.times.at(-1);
  if (last !== undefined && time <= last) return table;
  const first = table.times.findIndex((each) => each >= since);
  const from = first < 0 ? table.times.length : first;
  const hole = last !== undefined && time - last > gap;
  const grown = emptyTable();
  grown.times = [...table.times.slice(from), ...(hole ? [time - 1e-3] : []), time];
  for (const name of NAMES) grown[name] = [...table[name].slice(from), ...(hole ? [null] : []), figures[name]];
  return grown;
}
