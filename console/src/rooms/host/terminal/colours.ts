/** A terminal's colours: the page's own, and sixteen of each theme. */

import type { ITheme } from "@xterm/xterm";

const LIGHT: ITheme = {
  black: "#1a212c",
  red: "#b3261e",
  green: "#14753a",
  yellow: "#8a5300",
  blue: "#1d5bd6",
  magenta: "#8b2fb0",
  cyan: "#0b6b7d",
  white: "#6b7484",
  brightBlack: "#566072",
  brightRed: "#c9372c",
  brightGreen: "#1b7f43",
  brightYellow: "#946000",
  brightBlue: "#2b6be4",
  brightMagenta: "#9c45c0",
  brightCyan: "#117a8f",
  brightWhite: "#3b4452",
};
const DARK: ITheme = {
  black: "#3a4250",
  red: "#ff8f85",
  green: "#5dd28a",
  yellow: "#efb84f",
  blue: "#79aaff",
  magenta: "#d79bf5",
  cyan: "#5ccfe0",
  white: "#d4dae3",
  brightBlack: "#8792a3",
  brightRed: "#ffaca4",
  brightGreen: "#83e3a7",
  brightYellow: "#f7cf82",
  brightBlue: "#a5c6ff",
  brightMagenta: "#e6bdfb",
  brightCyan: "#8ae3ef",
  brightWhite: "#ffffff",
};

/** Gives the colours of the theme that the page has at this moment. */
export function colours(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const of = (token: string): string => style.getPropertyValue(token).trim();
  return {
    ...(document.documentElement.dataset["theme"] === "dark" ? DARK : LIGHT),
    background: of("--sunken"),
    foreground: of("--text"),
    cursor: of("--accent"),
    cursorAccent: of("--on-accent"),
    selectionBackground: of("--accent"),
    selectionForeground: of("--on-accent"),
    scrollbarSliderBackground: `${of("--line-strong")}66`,
    scrollbarSliderHoverBackground: `${of("--line-strong")}99`,
    scrollbarSliderActiveBackground: of("--line-strong"),
  };
}
