// Before the first paint: a chosen theme must not flash the other one.
(() => {
  try {
    const theme = localStorage.getItem("outrider.theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser that keeps nothing follows the system.
  }
})();
