/** Text that hosts have written: shown as it is, never obeyed. */

// Escape sequences of terminals: CSI, OSC and its kin up to their end, and single ones.
const ESCAPES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|[ -/]*[0-~])|\u009b[0-?]*[ -/]*[@-~]/g;
// What turns the direction of text around, joins nothing, or is not seen at all.
const UNSEEN = /[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Gives one line without anything that moves a cursor, turns text around or hides; tabs and line ends are spaces. */
export function oneLine(text: string): string {
  return text.replace(ESCAPES, "").replace(/[\t\r\n\u2028\u2029]+/g, " ").replace(UNSEEN, "\ufffd").replace(CONTROLS, "\ufffd");
}

const MOST = 200_000;
const LONGEST_LINE = 4_000;
export type Shown = { text: string; before: number };

/**
 * Gives output fit to be shown: its last part, lines of bounded length, without escape sequences.
 * A line that was written over (CR) is shown as it ended. `before` counts the characters left out at the beginning.
 */
export function shownOutput(raw: string, most = MOST): Shown {
  let before = Math.max(0, raw.length - most);
  if (before > 0) {
    const line = raw.indexOf("\n", before);
    if (line >= 0 && line - before < LONGEST_LINE) before = line + 1;
  }
  const lines = raw
    .slice(before)
    .replace(ESCAPES, "")
    .replace(/\r+\n/g, "\n")
    .split("\n")
    .map((line) => {
      const written = line.replace(/\r+$/, "");
      const last = written.slice(written.lastIndexOf("\r") + 1);
      const clean = last.replace(UNSEEN, "\ufffd").replace(CONTROLS, "\ufffd");
      return clean.length > LONGEST_LINE
        ? `${clean.slice(0, LONGEST_LINE)} … (${clean.length - LONGEST_LINE} more characters on this line)`
        : clean;
    });
  return { text: lines.join("\n"), before };
}

/** Says a count with the right form of its word. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
