"""The console's first look on a slow machine: Chromium with a quarter of this processor, nothing cached.

The clock runs from the navigation until the page can be used: what is asked for is there, the connection for
changes is open, and the main thread is free (the end of its last task of 50 ms or more counts).
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page

from bench.rig.browser import open_browser, signed_in, slowed
from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.options import Options, run
from bench.rig.programs import CenterProgram
from outrider.center.console.pages import BUILT
from tools.console.building import Console, node_in

TITLE = "console, first look at a fourth of the processor"
_ROUNDS: Final = 7
_SLOWER: Final = 4
_SECONDS: Final = 1.5
_KILOBYTES: Final = 120.0
_BUILD_SECONDS: Final = 30.0
_QUIET_MS: Final = 500
_ROOT: Final = Path(__file__).parents[1]
_LONG_TASKS: Final = """
window.benchBusyUntil = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries())
    window.benchBusyUntil = Math.max(window.benchBusyUntil, task.startTime + task.duration);
}).observe({ type: "longtask", buffered: true });
"""
_READY: Final = f"""(selector) => new Promise((resolve) => {{
  let there = 0;
  const look = () => {{
    const now = performance.now();
    if (!there && document.querySelector(selector)) there = now;
    const since = Math.max(there, window.benchBusyUntil);
    if (there && now - since > {_QUIET_MS}) resolve(since); else setTimeout(look, 10);
  }};
  look();
}})"""
_LOADED: Final = """() => performance.getEntriesByType("resource")
  .map((each) => new URL(each.name).pathname)
  .filter((path) => path.startsWith("/console/"))"""


async def measure(_options: Options) -> list[Figure]:
    """Open the sign-in, then the overview, again and again, each time as for the first time."""
    say("building the console")
    build_seconds = _build_seconds()
    with home() as folder:
        async with CenterProgram(folder) as center, open_browser() as browser:
            say(f"{_ROUNDS} times each page")
            sign_in = [await _opened(browser, center, "input", known=False) for _ in range(_ROUNDS)]
            overview = [await _opened(browser, center, ".live.on", known=True) for _ in range(_ROUNDS)]
    return [
        Figure("overview can be used, p50", percentile([each[0] for each in overview], 0.5), "s", _SECONDS),
        Figure("overview can be used, slowest", max(each[0] for each in overview), "s"),
        Figure("sign-in can be used, p50", percentile([each[0] for each in sign_in], 0.5), "s", _SECONDS),
        Figure("first load as gzip", max(each[1] for each in overview) / 1024, "KB", _KILOBYTES),
        Figure("the build of the console", build_seconds, "s", _BUILD_SECONDS),
    ]


async def _opened(
    browser: Browser, center: CenterProgram, selector: str, *, known: bool
) -> tuple[float, int]:
    async with signed_in(browser, center) as context:
        if not known:
            await context.clear_cookies()
        page: Page = await context.new_page()
        await page.add_init_script(_LONG_TASKS)
        await slowed(page, _SLOWER)
        await page.goto(f"{center.url}/console/", wait_until="commit")
        ready_ms = await page.evaluate(_READY, selector)
        loaded = await page.evaluate(_LOADED)
        return ready_ms / 1000, sum(_gzipped(path) for path in ("/console/index.html", *loaded))


def _gzipped(path: str) -> int:
    """Return the bytes of a file as gzip has it, whatever the browser took."""
    file = BUILT / path.removeprefix("/console/")
    packed = file.with_name(f"{file.name}.gz")
    return (packed if packed.exists() else file).stat().st_size


def _build_seconds() -> float:
    """Build a copy: what is served stays as it is. Fetching packages is npm's time, not the build's."""
    packages = next((Path(sys.prefix) / "lib").glob("python3.*/site-packages"))
    with tempfile.TemporaryDirectory() as folder:
        console = Console(_ROOT, node_in(packages))
        console.fetch()
        began = time.perf_counter()
        console.run("vite/bin/vite.js", "build", OUTRIDER_CONSOLE_OUT=str(Path(folder) / "built"))
        return time.perf_counter() - began


if __name__ == "__main__":
    if not (BUILT / "index.html").exists():
        sys.exit("The console is not built: ./dev console")
    sys.exit(run({TITLE: measure}))
