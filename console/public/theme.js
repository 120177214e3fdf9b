// Before the first paint the page says which theme it has: so none flashes, and each theme's colours stand once.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("outrider.theme");
  } catch {
    // A browser that keeps nothing follows the system.
  }
  if (theme !== "dark" && theme !== "light") theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
})();
