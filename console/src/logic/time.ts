/** Times as people read them. All times here are unix seconds. */

const STEPS: readonly [number, number, string][] = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [86_400 * 60, 86_400, "d"],
  [86_400 * 365 * 2, 86_400 * 30.4375, "mo"],
  [Infinity, 86_400 * 365.25, "y"],
];

/** Says how long ago, or in how long, in one unit; what is within five seconds is `now`. */
export function relative(time: number, now: number): string {
  const away = now - time;
  const size = Math.abs(away);
  if (size < 5) return "now";
  const [, unit, name] = STEPS.find(([below]) => size < below) ?? STEPS[STEPS.length - 1]!;
  const said = `${Math.floor(size / unit)} ${name}`;
  return away > 0 ? `${said} ago` : `in ${said}`;
}

/** Says a moment twice: where the reader is, and in UTC. */
export function absolute(time: number, zone?: string): string {
  const date = new Date(time * 1000);
  if (Number.isNaN(date.getTime())) return "unknown";
  const local = new Intl.DateTimeFormat("en-GB", {
    year: "numeric",
    month: "short",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
    ...(zone ? { timeZone: zone } : {}),
  }).format(date);
  return `${local}\n${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Says a moment in short, where the reader is or in a zone; UTC is named. */
export function stamp(time: number, zone?: string): string {
  const date = new Date(time * 1000);
  if (Number.isNaN(date.getTime())) return "unknown";
  const said = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", ...(zone ? { timeZone: zone } : {}) }).format(date);
  return zone === "UTC" ? `${said} UTC` : said;
}

/** Says how long something took or has been so. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Says a number of bytes. */
export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined || !Number.isFinite(count)) return "–";
  const power = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), SIZES.length - 1);
  const size = count / 1024 ** power;
  return `${power === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${SIZES[power]}`;
}
