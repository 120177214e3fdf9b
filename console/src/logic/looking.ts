/** When something is looked at again that tells of no change itself. */

type Page = Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;
export type Looking = {
  /** Whether the last look has no answer yet: there are never two at a time. */
  busy: () => boolean;
  look: () => void;
  /** Milliseconds from one look to the next. */
  pause: () => number;
};

/** Looks at once and again and again while the page is in sight, and as soon as it is again; until the returned function is called. */
export function keepLooking(page: Page, { busy, look, pause }: Looking): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  function again(): void {
    if (!page.hidden && !busy()) look();
    timer = setTimeout(again, pause());
  }
  function seen(): void {
    if (page.hidden) return;
    clearTimeout(timer);
    again();
  }
  page.addEventListener("visibilitychange", seen);
  again();
  return () => {
    clearTimeout(timer);
    page.removeEventListener("visibilitychange", seen);
  };
}
