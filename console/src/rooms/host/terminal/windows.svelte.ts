/** The windows that this page has: they stay connected while another tab or room is looked at. */

import { ShellWindow } from "./shell_window.svelte";

let windows = $state.raw<ShellWindow[]>([]);

export function windowsOn(agent: string): ShellWindow[] {
  return windows.filter((each) => each.agent === agent);
}

export function add(window: ShellWindow): ShellWindow {
  windows = [...windows, window];
  return window;
}

export function drop(window: ShellWindow): void {
  windows = windows.filter((each) => each !== window);
  window.dispose();
}
