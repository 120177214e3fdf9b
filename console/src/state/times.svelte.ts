/** How moments are told: how long ago, or as the time of day, here or in UTC. */

export type Telling = "ago" | "local" | "utc";
const KEY = "outrider.times";

function kept(): Telling {
  try {
    const said = localStorage.getItem(KEY);
    return said === "local" || said === "utc" ? said : "ago";
  } catch {
    return "ago";
  }
}

let telling = $state<Telling>(kept());

export const times = {
  get chosen(): Telling {
    return telling;
  },
};

export function chooseTimes(wanted: Telling): void {
  telling = wanted;
  try {
    if (wanted === "ago") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, wanted);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
