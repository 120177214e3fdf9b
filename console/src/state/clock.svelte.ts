/** One clock for every relative time on the page. */

let now = $state(Date.now() / 1000);

export const clock = {
  /** Unix seconds, a little behind. */
  get now(): number {
    return now;
  },
};

/** Sets it: for what has just been done, whose time is otherwise ahead of it. */
export function tick(): void {
  now = Date.now() / 1000;
}

setInterval(() => {
  if (!document.hidden) tick();
}, 5000);
document.addEventListener("visibilitychange", tick);
