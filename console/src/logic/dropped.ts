/** What somebody gives to be uploaded: files, and folders with all that is in them. */

/** One name that will be in the folder: a file, or a folder as the folders below it and its files. */
export type Given = { name: string; isFolder: boolean; folders: string[][]; files: { parts: string[]; file: File }[] };

/** As many files as are taken at once; more are for the command line. */
export const MOST_GIVEN = 2_000;
export class TooMany extends Error {
  constructor() {
    super(`These are more than ${MOST_GIVEN} files. Pack them first, or use outrider cp -r.`);
  }
}

export const fileGiven = (file: File): Given => ({ name: file.name, isFolder: false, folders: [], files: [{ parts: [file.name], file }] });

/** Puts together what a chooser of folders gives: files alone, each with its path from the folder on. */
export function chosenFolders(files: readonly File[]): Given[] {
  if (files.length > MOST_GIVEN) throw new TooMany();
  const found = new Map<string, Given>();
  const known = new Set<string>();
  for (const file of files) {
    const parts = file.webkitRelativePath.split("/");
    const name = parts[0] ?? "";
    const given = found.get(name) ?? { name, isFolder: true, folders: [], files: [] };
    found.set(name, given);
    for (let depth = 1; depth < parts.length; depth += 1) {
      const folder = parts.slice(0, depth);
      if (!known.has(folder.join("/"))) given.folders.push(folder);
      known.add(folder.join("/"));
    }
    given.files.push({ parts, file });
  }
  return [...found.values()];
}

/** Reads a folder that was dropped, with the folders that have nothing in them. Throws TooMany. */
export async function readDropped(entry: FileSystemEntry): Promise<Given> {
  const given: Given = { name: entry.name, isFolder: entry.isDirectory, folders: [], files: [] };
  const waiting: { entry: FileSystemEntry; parts: string[] }[] = [{ entry, parts: [entry.name] }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { entry: here, parts } = next;
    if (here.isDirectory) {
      given.folders.push(parts);
      const reader = (here as FileSystemDirectoryEntry).createReader();
      for (let some = await read(reader); some.length > 0; some = await read(reader))
        waiting.push(...some.map((each) => ({ entry: each, parts: [...parts, each.name] })));
    } else given.files.push({ parts, file: await fileOf(here as FileSystemFileEntry) });
    if (given.files.length + given.folders.length + waiting.length > MOST_GIVEN) throw new TooMany();
  }
  return given;
}

const read = (reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> =>
  new Promise((resolve, reject) => reader.readEntries(resolve, reject));
const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((resolve, reject) => entry.file(resolve, reject));
