/** Dark, light, or as the system has it. The page's root always says which of the two it is. */

export type Theme = "system" | "light" | "dark";
type Shown = Exclude<Theme, "system">;
const KEY = "outrider.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function kept(): Theme {
  try {
    const said = localStorage.getItem(KEY);
    return said === "dark" || said === "light" ? said : "system";
  } catch {
    // A browser that keeps nothing follows the system.
    return "system";
  }
}

function resolved(theme: Theme): Shown {
  return theme === "system" ? (system.matches ? "dark" : "light") : theme;
}

let chosen = $state<Theme>(kept());
let shown = $state<Shown>(resolved(kept()));

function show(): void {
  const now = resolved(chosen);
  document.documentElement.dataset["theme"] = now;
  shown = now;
}

system.addEventListener("change", show);

export const themes = {
  get chosen(): Theme {
    return chosen;
  },
  /** What the page has now: colours that were read from it are read again when this changes. */
  get shown(): Shown {
    return shown;
  },
};

export function choose(wanted: Theme): void {
  chosen = wanted;
  show();
  try {
    if (wanted === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, wanted);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
