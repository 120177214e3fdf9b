/** What may stand next in a target expression. The center alone decides whether a target can be read. */

export type Knowledge = { hosts: readonly string[]; tags: readonly string[]; groups: readonly string[]; systems: readonly string[] };
export type Choice = { text: string; note: string };
export type Completion = { from: number; to: number; choices: Choice[] };

const STATUSES = ["online", "offline", "pending", "declined"];
const MOST = 8;
const JOINING: Choice[] = [
  { text: "and", note: "both" },
  { text: "or", note: "either" },
  { text: "and not", note: "without" },
];
const STARTS: Choice[] = [
  { text: "all", note: "every host" },
  { text: "tag:", note: "has a tag, or a value of it" },
  { text: "group:", note: "is in a group" },
  { text: "os:", note: "runs a system" },
  { text: "status:", note: "is online, offline, pending" },
  { text: "not", note: "all but" },
];

/** Finds where the term begins that the caret stands in: after a space, comma or parenthesis outside quotes. */
export function termStart(text: string, caret: number): number {
  let start = 0;
  let quote = "";
  for (let place = 0; place < caret; place += 1) {
    const sign = text.charAt(place);
    if (quote !== "") {
      if (sign === "\\") place += 1;
      else if (sign === quote) quote = "";
    } else if (sign === '"' || sign === "'") {
      quote = sign;
    } else if (/[\s,()]/.test(sign)) {
      start = place + 1;
    }
  }
  return start;
}

/** Gives what fits at the caret, and which part of the text a choice replaces. */
export function complete(text: string, caret: number, known: Knowledge): Completion {
  const from = termStart(text, caret);
  const typed = text.slice(from, caret);
  const colon = typed.indexOf(":");
  let to = caret;
  while (to < text.length && !/[\s,()]/.test(text.charAt(to))) to += 1;
  if (colon >= 0) {
    const prefix = typed.slice(0, colon + 1);
    return { from, to, choices: valuesOf(prefix.toLowerCase(), typed.slice(colon + 1), known) };
  }
  const wanted = typed.toLowerCase();
  const after = wordBefore(text.slice(0, from));
  if (after === "term") {
    return { from, to, choices: JOINING.filter((each) => each.text.startsWith(wanted)) };
  }
  const words = STARTS.filter((each) => each.text.startsWith(wanted) && each.text !== wanted);
  const hosts =
    wanted === ""
      ? []
      : fitting(known.hosts, wanted).map((name) => ({ text: quoted(name), note: "host" }));
  return { from, to, choices: [...words, ...hosts].slice(0, MOST) };
}

function valuesOf(prefix: string, typed: string, known: Knowledge): Choice[] {
  const all: Record<string, readonly string[]> = {
    "tag:": known.tags,
    "group:": known.groups,
    "os:": known.systems,
    "status:": STATUSES,
  };
  const bare = typed.replace(/^["']/, "").toLowerCase();
  return fitting(all[prefix] ?? [], bare)
    .slice(0, MOST)
    .map((value) => ({ text: prefix + quotedValue(prefix, value), note: prefix.slice(0, -1) }));
}

/** Those that begin with what was typed come before those that only hold it. */
function fitting(names: readonly string[], wanted: string): string[] {
  const lower = (name: string): string => name.toLowerCase();
  const begin = names.filter((name) => lower(name).startsWith(wanted));
  const hold = names.filter((name) => !lower(name).startsWith(wanted) && lower(name).includes(wanted));
  return [...begin.sort(), ...hold.sort()].slice(0, MOST);
}

/** Tells whether a whole term stands before, so that only a joining word may follow. */
function wordBefore(before: string): "term" | "start" {
  const trimmed = before.trimEnd();
  if (trimmed === "" || /[,(]$/.test(trimmed)) return "start";
  if (/(^|[\s()])(and|or|not)$/i.test(trimmed)) return "start";
  return "term";
}

export function quoted(name: string): string {
  return /^[\w.-]+$/.test(name) && !/^(and|or|not|all)$/i.test(name) ? name : `"${escaped(name)}"`;
}

function quotedValue(prefix: string, value: string): string {
  const equals = prefix === "tag:" ? value.indexOf("=") : -1;
  if (equals >= 0) {
    const said = value.slice(equals + 1);
    return `${value.slice(0, equals)}=${/^[\w./-]*$/.test(said) ? said : `"${escaped(said)}"`}`;
  }
  return /^[\w.-]+$/.test(value) ? value : `"${escaped(value)}"`;
}

function escaped(text: string): string {
  return text.replace(/[\\"]/g, "\\$&");
}
