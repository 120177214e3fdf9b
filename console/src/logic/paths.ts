/**
 * Paths on hosts. A name there may be any bytes, so a path is kept percent-encoded, part by part: `/etc/a%20b`.
 * That is how it goes into an address of the API, and what is not UTF-8 stays what it is.
 */

import type { FileView } from "../api/schema";

export type HostPath = string;
type Named = Pick<FileView, "name" | "encoded">;

/** Takes a path as people write it. */
export function pathOf(text: string): HostPath {
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

/** Gives a path as people read it; null when it is no text. */
export function textOf(path: HostPath): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

/** Gives a path or a name to be looked at: bytes that are no text become marks. */
export function shownPath(path: HostPath): string {
  return new TextDecoder().decode(bytesOf(path));
}

export function child(folder: HostPath, entry: Named): HostPath {
  return `${folder === "/" ? "" : folder}/${entry.encoded ?? encodeURIComponent(entry.name)}`;
}

export function parent(path: HostPath): HostPath {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** Gives each folder on the way down to a path, with what it is called. */
export function crumbs(path: HostPath): { path: HostPath; name: string }[] {
  const parts = path.split("/").filter(Boolean);
  return [
    { path: "/", name: "/" },
    ...parts.map((part, at) => ({ path: `/${parts.slice(0, at + 1).join("/")}`, name: shownPath(part) })),
  ];
}

export function bytesOf(path: HostPath): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const piece of path.match(/%[0-9a-fA-F]{2}|[^%]+|%/g) ?? [])
    if (/^%[0-9a-fA-F]{2}$/.test(piece)) bytes.push(Number.parseInt(piece.slice(1), 16));
    else bytes.push(...encoder.encode(piece));
  return Uint8Array.from(bytes);
}

/** Takes what is looked at in the console's address: `path` as text, or `raw` where it is none. */
export function pathIn(query: URLSearchParams): HostPath {
  const raw = query.get("raw");
  if (raw !== null && raw.startsWith("/") && /^(?:[\w\-.~!*'()/]|%[0-9a-fA-F]{2})*$/.test(raw)) return raw;
  return pathOf(query.get("path") ?? "/");
}

/** Gives what names a path in the console's address. */
export function queryFor(path: HostPath): { path?: string; raw?: string } {
  const text = textOf(path);
  return text === null ? { raw: path } : { path: text };
}

/** Tells why a name can't be given to a file; empty when it can. */
export function nameFault(name: string): string {
  if (name === "") return "Give it a name.";
  if (name === "." || name === "..") return "This name stands for a folder already.";
  if (name.includes("/")) return "A name has no slash in it.";
  if (name.includes("\0")) return "A name has no null character in it.";
  if (new TextEncoder().encode(name).length > 255) return "This name is too long: 255 bytes are the most.";
  return "";
}

/** Puts folders first, then by name as people sort. */
export function byName(a: FileView, b: FileView): number {
  const folders = Number(b.kind === "folder") - Number(a.kind === "folder");
  return folders || COLLATOR.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);
}
const COLLATOR = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

const LETTERS: Partial<Record<FileView["kind"], string>> = { folder: "d", link: "l", device: "b", fifo: "p", socket: "s" };

/** Says permission bits as `ls` does; special bits stay a number. */
export function modeText(entry: Pick<FileView, "kind" | "mode">): string {
  const bits = Number.parseInt(entry.mode, 8);
  const said = [6, 3, 0].map((shift) => ["r", "w", "x"].map((letter, at) => ((bits >> shift) & (4 >> at) ? letter : "-")).join(""));
  return `${LETTERS[entry.kind] ?? "-"}${said.join("")}`;
}

/** Tells whether bytes read as text: none of them is null, and they are UTF-8 but for a character cut off at the end. */
export function readsAsText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
