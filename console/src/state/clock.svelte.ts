/** One clock for every relative time on the page. */

let now = $state(Date.now() / 1000);

export const clock = {
  /** Unix seconds, a little behind. */
  get now(): number {
    return now;
  },
};

setInterval(() => {
  if (!document.hidden) now = Date.now() / 1000;
}, 5000);
document.addEventListener("visibilitychange", () => {
  now = Date.now() / 1000;
});
