/** Which rows of a long list are in sight. */

export type Window = { first: number; last: number; before: number; after: number };

/** Gives the rows to draw, from `first` up to and without `last`, and the room to leave around them. */
export function inSight(rows: number, row: number, top: number, height: number, spare = 8): Window {
  const seen = Math.max(1, Math.ceil(height / row));
  const wanted = Math.floor(top / row) - spare;
  const first = Math.max(0, Math.min(wanted, rows - seen - spare));
  const last = Math.min(rows, Math.max(wanted, 0) + seen + 2 * spare);
  return { first, last, before: first * row, after: (rows - last) * row };
}
