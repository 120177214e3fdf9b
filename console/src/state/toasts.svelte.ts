/** Short notes of what was done, or could not be. */

export type Toast = { id: number; text: string; tone: "ok" | "bad"; undo?: (() => void) | undefined };

let toasts = $state.raw<Toast[]>([]);
let next = 1;

export const notes = {
  get all(): Toast[] {
    return toasts;
  },
};

export function tell(text: string, undo?: () => void): void {
  add({ id: next, text, tone: "ok", undo }, undo ? 10_000 : 5_000);
}

export function complain(text: string): void {
  add({ id: next, text, tone: "bad" }, 12_000);
}

export function dismiss(id: number): void {
  toasts = toasts.filter((each) => each.id !== id);
}

function add(toast: Toast, milliseconds: number): void {
  next += 1;
  toasts = [...toasts, toast].slice(-4);
  setTimeout(() => dismiss(toast.id), milliseconds);
}
