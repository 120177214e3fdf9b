/** What is typed into the palette: whom to look for and, where the last word names them, which tabs of a host. */
export function read(wanted: string, tabs: readonly string[]): { q: string; tabs: readonly string[] } {
  const words = wanted.trim().split(/\s+/);
  const last = (words.at(-1) ?? "").toLowerCase();
  const named = words.length > 1 && last.length > 1 ? tabs.filter((each) => each.toLowerCase().startsWith(last)) : [];
  return named.length > 0 ? { q: words.slice(0, -1).join(" "), tabs: named } : { q: wanted.trim(), tabs: [] };
}
