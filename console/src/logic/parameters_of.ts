/** What a profile comes to, parameter by parameter, and where each value is from. */

type Profile = { is_default: boolean; params: Readonly<Record<string, string>>; comes_to: Readonly<Record<string, string>> };
type Known = { name: string; default: string; takes: string; means: string };
export type Source = "own" | "inherited" | "built in";
export type Line = { name: string; value: string; source: Source; takes: string; means: string; known: boolean; without: string };

/** Lists the known parameters, then the profile's others, each by name. `without`: its value once it is unset. */
export function linesOf(profile: Profile, known: readonly Known[], usual: Readonly<Record<string, string>>): Line[] {
  const line = (name: string, told: Known | undefined): Line => {
    const own = profile.params[name];
    const inherited = profile.is_default ? undefined : usual[name];
    const without = inherited ?? told?.default ?? "";
    return {
      name,
      value: own ?? profile.comes_to[name] ?? without,
      source: own !== undefined ? "own" : inherited !== undefined ? "inherited" : "built in",
      takes: told?.takes ?? "any text",
      means: told?.means ?? "Not one of the center's: a program on the host may look for it.",
      known: told !== undefined,
      without,
    };
  };
  const names = new Set(known.map((each) => each.name));
  const others = Object.keys(profile.comes_to).filter((name) => !names.has(name)).sort();
  return [...known.map((each) => line(each.name, each)), ...others.map((name) => line(name, undefined))];
}

/** Gives the words that a known parameter takes, where it takes words alone. */
export function choicesOf(takes: string): string[] {
  const words = takes.split(/, | or /);
  return words.length > 1 && words.every((each) => /^[a-z_]+$/.test(each)) ? words : [];
}
