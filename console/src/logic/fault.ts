/** Where the center could not read an expression on. */

export type Fault = { before: string; wrong: string; after: string };

/** Parts a text at the place that an error names; null when it names none. */
export function faultOf(fields: Record<string, unknown>, text: string): Fault | null {
  const at = Number(fields["position"] ?? -1);
  const length = Math.max(1, Number(fields["length"] ?? 1));
  if (!(at >= 0)) return null;
  // The center counts characters, and this string has two places for one beyond the basic plane.
  const signs = [...text];
  return { before: signs.slice(0, at).join(""), wrong: signs.slice(at, at + length).join("") || "␣", after: signs.slice(at + length).join("") };
}
