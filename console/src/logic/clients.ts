/** What people sign in with, in two words. */

const PROGRAMS: readonly [RegExp, string][] = [
  [/\bEdg\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bFirefox\//, "Firefox"],
  [/\bChrom(e|ium|eHeadless)\/|HeadlessChrome\//, "Chrome"],
  [/\bSafari\//, "Safari"],
  [/\bcurl\//, "curl"],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/\bAndroid\b/, "Android"],
  [/\b(iPhone|iPad)\b/, "iOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bLinux\b/, "Linux"],
];
const LONGEST = 60;

/** Says what a `User-Agent` stands for; one that is not known is shown as it is. */
export function clientName(agent: string): string {
  const program = PROGRAMS.find(([pattern]) => pattern.test(agent))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  if (program) return system ? `${program} on ${system}` : program;
  if (agent === "") return "Unknown";
  return agent.length > LONGEST ? `${agent.slice(0, LONGEST)}…` : agent;
}
