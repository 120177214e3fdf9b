/** The configuration of a microservice while it is edited. */

export type Judged = { kind: "json" | "text" | "empty" } | { kind: "broken"; detail: string };

/** Tells whether a text is JSON, or wants to be and is not; other texts are as good. */
export function judged(text: string): Judged {
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "empty" };
  try {
    const value: unknown = JSON.parse(trimmed);
    return { kind: typeof value === "object" && value !== null ? "json" : "text" };
  } catch (error) {
    const looks = /^[{[]/.test(trimmed);
    return looks ? { kind: "broken", detail: error instanceof Error ? error.message : "" } : { kind: "text" };
  }
}

export type Part = { kind: "same" | "added" | "removed"; line: string };

/** What a change does, line by line: what both begin and end with stays, all between is removed and added. */
export function changed(before: string, after: string): Part[] {
  const old = before.split("\n");
  const now = after.split("\n");
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const part = (kind: Part["kind"]) => (line: string): Part => ({ kind, line });
  return [
    ...old.slice(Math.max(0, head - 2), head).map(part("same")),
    ...old.slice(head, old.length - tail).map(part("removed")),
    ...now.slice(head, now.length - tail).map(part("added")),
    ...now.slice(now.length - tail, now.length - tail + 2).map(part("same")),
  ];
}

/** What a microservice's id may be. */
export const MICROSERVICE_ID = /^[A-Za-z0-9_-]{1,64}$/;
