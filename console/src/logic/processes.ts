/** A host's processes as a list or as a tree. What a host says of parents may be anything, also a circle. */

export type Sorted<T> = (a: T, b: T) => number;
export type Row<P> = {
  id: string;
  process: P;
  /** How deep it stands in the tree, from 0. */
  depth: number;
  /** How many stand right beneath it, and are shown when it is open. */
  children: number;
  open: boolean;
  /** It only is there because something beneath it was looked for. */
  aside: boolean;
};
type Told = { pid: number; ppid: number; start_ticks: number; user: string; name: string; command: string };

/** Names a process for good: its number is given to another once it has ended. */
export const idOf = (process: Told): string => `${process.pid}-${process.start_ticks}`;

/** Tells whether a process has the text, written small, in what is shown of it. */
export function fits(process: Told, text: string): boolean {
  return text === "" || `${process.pid} ${process.user} ${process.name} ${process.command}`.toLowerCase().includes(text);
}

/** Tells whether a host may end it at all: neither what keeps it running, nor what is a part of its kernel. */
export const canEnd = ({ pid, ppid, command }: Told): boolean => pid !== 1 && !(command === "" && (pid === 2 || ppid === 2));

/** Gives those that fit, as they come. */
export function listOf<P extends Told>(processes: readonly P[], text: string): Row<P>[] {
  return processes
    .filter((each) => fits(each, text))
    .map((process) => ({ id: idOf(process), process, depth: 0, children: 0, open: false, aside: false }));
}

/**
 * Gives those that fit with all that they stand beneath, each beneath its parent, siblings sorted. Beneath those in
 * `shut` nothing is shown, unless something is looked for.
 */
export function treeOf<P extends Told>(processes: readonly P[], text: string, shut: ReadonlySet<string>, by: Sorted<P>): Row<P>[] {
  const byPid = new Map(processes.map((each) => [each.pid, each]));
  const parentOf = (each: P): P | undefined => {
    const parent = byPid.get(each.ppid);
    return parent === each ? undefined : parent;
  };
  const wanted = new Set<P>();
  const found = new Set<P>();
  for (const each of processes) {
    if (!fits(each, text)) continue;
    found.add(each);
    for (let at: P | undefined = each; at && !wanted.has(at); at = parentOf(at)) wanted.add(at);
  }
  const beneath = new Map<P | undefined, P[]>();
  for (const each of wanted) {
    const parent = parentOf(each);
    const siblings = beneath.get(parent);
    if (siblings) siblings.push(each);
    else beneath.set(parent, [each]);
  }
  for (const siblings of beneath.values()) siblings.sort((a, b) => -by(a, b));

  const rows: Row<P>[] = [];
  const placed = new Set<P>();
  // Walked without recursion: a host may tell of a chain of thousands.
  function place(first: P[]): void {
    const open = first.map((each) => ({ each, depth: 0 }));
    for (let next = open.pop(); next; next = open.pop()) {
      const { each, depth } = next;
      if (placed.has(each)) continue;
      placed.add(each);
      const children = beneath.get(each) ?? [];
      const id = idOf(each);
      const isOpen = children.length > 0 && (text !== "" || !shut.has(id));
      rows.push({ id, process: each, depth, children: children.length, open: isOpen, aside: !found.has(each) });
      if (isOpen) for (const child of children) open.push({ each: child, depth: depth + 1 });
      else for (const hidden of allBeneath(each)) placed.add(hidden);
    }
  }
  function allBeneath(top: P): Set<P> {
    const all = new Set<P>();
    const open = [...(beneath.get(top) ?? [])];
    for (let next = open.pop(); next; next = open.pop()) {
      if (all.has(next)) continue;
      all.add(next);
      open.push(...(beneath.get(next) ?? []));
    }
    return all;
  }
  place(beneath.get(undefined) ?? []);
  // Whoever is its own forefather is reached from no root.
  for (const each of wanted) if (!placed.has(each)) place([each]);
  return rows;
}
