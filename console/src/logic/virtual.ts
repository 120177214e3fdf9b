/** Which rows of a long list are in sight. */

export type Window = { first: number; last: number };

/** Gives the rows to draw, from `first` up to and without `last`. */
export function inSight(rows: number, row: number, top: number, height: number, spare = 8): Window {
  const seen = Math.max(1, Math.ceil(height / row));
  const wanted = Math.floor(top / row) - spare;
  const first = Math.max(0, Math.min(wanted, rows - seen - 2 * spare));
  const last = Math.min(rows, Math.max(wanted, 0) + seen + 2 * spare);
  return { first, last };
}

/**
 * Gives each drawn line the row that it shows, so that a row which stays in sight stays in its line: scrolling by
 * three rows changes three lines, and makes none anew.
 */
export function linesOf({ first, last }: Window): number[] {
  const count = last - first;
  return Array.from({ length: count }, (_, line) => first + ((((line - first) % count) + count) % count));
}
