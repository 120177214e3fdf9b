/** Dark, light, or as the system has it. */

export type Theme = "system" | "light" | "dark";
const KEY = "outrider.theme";

function kept(): Theme {
  const said = document.documentElement.dataset["theme"];
  return said === "dark" || said === "light" ? said : "system";
}

let theme = $state<Theme>(kept());

export const themes = {
  get chosen(): Theme {
    return theme;
  },
};

export function choose(wanted: Theme): void {
  theme = wanted;
  if (wanted === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = wanted;
  try {
    if (wanted === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, wanted);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
