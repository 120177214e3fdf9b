/** Hosts that said the same, together: what differs among a thousand is what matters. */

export type Said = { status: string; exit_code: number | null; reason: string; stdout: string; stderr: string };
export type Group<T extends Said> = { key: string; first: T; hosts: T[] };

const ORDER = ["failed", "timed_out", "interrupted", "unknown", "expired", "cancelled", "running", "sent", "queued"];

/** Groups equal results; trouble comes first, then the larger groups. */
export function grouped<T extends Said>(results: readonly T[]): Group<T>[] {
  const groups = new Map<string, Group<T>>();
  for (const each of results) {
    const key = JSON.stringify([each.status, each.exit_code, each.reason, each.stdout, each.stderr]);
    const known = groups.get(key);
    if (known) known.hosts.push(each);
    else groups.set(key, { key, first: each, hosts: [each] });
  }
  const rank = (group: Group<T>): number => {
    const place = ORDER.indexOf(group.first.status);
    return place < 0 ? ORDER.length : place;
  };
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || b.hosts.length - a.hosts.length);
}
