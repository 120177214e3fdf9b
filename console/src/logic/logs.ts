/** A log as it is looked at: the newest lines, those of them that fit a filter, and a pause in which nothing moves. */

import { oneLine } from "./text";

export type LogLine = { time: number | null; text: string; priority: number | null; from: string; note: boolean };
/** What the stream says of one line. */
export type Told = { time: number; message: string; priority?: number | null; unit?: string | null; identifier?: string | null; cut?: boolean };

const LONGEST = 4_000;
const MOST_OF_ONE = 500;

/** Gives the lines of one message: without anything that is obeyed, none of them endless. */
export function linesOfMessage(told: Told): LogLine[] {
  const from = oneLine(told.identifier || told.unit || "");
  const lines = told.message.replace(/\r?\n$/, "").split("\n", MOST_OF_ONE + 1);
  if (lines.length > MOST_OF_ONE) lines[MOST_OF_ONE] = "… (more lines of this message)";
  return lines.map((line, at) => {
    const over = line.length - LONGEST;
    const text = oneLine((over > 0 ? line.slice(0, LONGEST) : line).replace(/\r$/, "").replaceAll("\t", "    "));
    const cut = told.cut === true && at === lines.length - 1;
    const end = over > 0 ? ` … (${over} more characters on this line)` : cut ? " … (cut)" : "";
    return { time: told.time, text: text + end, priority: told.priority ?? null, from, note: false };
  });
}

/** Says something among the lines that no host has written. */
export function noteOf(text: string): LogLine {
  return { time: null, text, priority: null, from: "", note: true };
}

/** First in, first out; taking from its head costs nothing. */
class Queue<T> {
  #items: T[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  at(index: number): T | undefined {
    return this.#items[this.#first + index];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#first += 1;
    if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}

/** Lines of bounded number and size: the oldest make room. */
class Ring extends Queue<LogLine> {
  #characters = 0;
  readonly #most: number;
  readonly #mostCharacters: number;

  constructor(most: number, mostCharacters: number) {
    super();
    this.#most = most;
    this.#mostCharacters = mostCharacters;
  }

  /** Adds a line; returns those that made room for it. */
  add(line: LogLine): LogLine[] {
    this.push(line);
    this.#characters += line.text.length;
    const gone: LogLine[] = [];
    while (this.length > this.#most || (this.#characters > this.#mostCharacters && this.length > 1)) {
      const oldest = this.shift();
      if (oldest === undefined) break;
      this.#characters -= oldest.text.length;
      gone.push(oldest);
    }
    return gone;
  }
}

export class LogView {
  readonly #most: number;
  readonly #mostCharacters: number;
  #kept: Ring;
  #fitting: Queue<LogLine> | null = null;
  #meanwhile: Ring | null = null;
  #lost = 0;
  #wanted = "";
  /** How many lines came since it was paused; notes are none. */
  waiting = 0;

  constructor(most = 20_000, mostCharacters = 8_000_000) {
    this.#most = most;
    this.#mostCharacters = mostCharacters;
    this.#kept = new Ring(most, mostCharacters);
  }

  /** How many lines there are to be shown. */
  get length(): number {
    return (this.#fitting ?? this.#kept).length;
  }

  /** How many lines are kept, whatever the filter. */
  get kept(): number {
    return this.#kept.length;
  }

  get paused(): boolean {
    return this.#meanwhile !== null;
  }

  at(index: number): LogLine | undefined {
    return (this.#fitting ?? this.#kept).at(index);
  }

  add(line: LogLine): void {
    if (this.#meanwhile) {
      if (!line.note) this.waiting += 1;
      this.#lost += this.#meanwhile.add(line).filter((each) => !each.note).length;
      return;
    }
    const gone = this.#kept.add(line);
    if (this.#fitting === null) return;
    for (const each of gone) if (this.#fitting.at(0) === each) this.#fitting.shift();
    if (this.#fits(line)) this.#fitting.push(line);
  }

  /** From now on what comes waits, and what is shown stays. */
  pause(): void {
    this.#meanwhile ??= new Ring(this.#most, this.#mostCharacters);
  }

  /** What waited is shown, with a note of what was too much to be kept. */
  goOn(): void {
    const waited = this.#meanwhile;
    if (!waited) return;
    // The note takes the place of a line, where there is room for no more.
    if (this.#lost > 0 && waited.length >= this.#most && waited.shift()) this.#lost += 1;
    const lost = this.#lost;
    this.#meanwhile = null;
    this.#lost = 0;
    this.waiting = 0;
    if (lost > 0) this.add(noteOf(`${lost.toLocaleString("en")} lines came during the pause that are no longer kept here`));
    for (let line = waited.shift(); line; line = waited.shift()) this.add(line);
  }

  /** Shows only lines with this text in them, whatever its case; notes always. */
  filter(text: string): void {
    this.#wanted = text.toLowerCase();
    this.#fitting = null;
    if (this.#wanted === "") return;
    const fitting = new Queue<LogLine>();
    for (let at = 0; at < this.#kept.length; at += 1) {
      const line = this.#kept.at(at);
      if (line && this.#fits(line)) fitting.push(line);
    }
    this.#fitting = fitting;
  }

  /** Forgets all lines; the filter stays. */
  clear(): void {
    this.#kept = new Ring(this.#most, this.#mostCharacters);
    this.#fitting = this.#wanted === "" ? null : new Queue();
    if (this.#meanwhile) this.#meanwhile = new Ring(this.#most, this.#mostCharacters);
    this.#lost = 0;
    this.waiting = 0;
  }

  /** Gives what is shown as text, for a file or the clipboard. */
  text(): string {
    const said: string[] = [];
    for (let at = 0; at < this.length; at += 1) {
      const line = this.at(at);
      if (line) said.push(line.note ? `--- ${line.text}` : [stamp(line.time), line.from, line.text].filter(Boolean).join(" "));
    }
    return said.length > 0 ? `${said.join("\n")}\n` : "";
  }

  #fits(line: LogLine): boolean {
    return line.note || line.text.toLowerCase().includes(this.#wanted) || line.from.toLowerCase().includes(this.#wanted);
  }
}

/** A line's moment, in UTC. */
export function stamp(time: number | null): string {
  return time === null || !Number.isFinite(time) || Math.abs(time) > 8e12 ? "" : new Date(time * 1000).toISOString();
}

/** How many rows of so many characters a text takes in a font whose letters are all as wide; some take two places. */
export function rowsOf(text: string, across: number): number {
  if (text.length * 2 <= across) return 1;
  let places = 0;
  for (let at = 0; at < text.length; at += 1) places += text.charCodeAt(at) > 0x10ff ? 2 : 1;
  return Math.max(1, Math.ceil(places / Math.max(1, across)));
}

/** The first of ascending numbers that is greater than `value`. */
export function firstAbove(ascending: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
