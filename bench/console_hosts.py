"""10,000 hosts in the console's table: how evenly frames come while it is scrolled and filtered.

Chromium as it is, without a graphics card, draws a frame each 16.7 ms (60 a second) when nothing keeps it.
The fleet is in the center's database; half of it counts as online.
"""

import sys
from typing import Final

from playwright.async_api import Page

from bench.rig.browser import frames, open_browser, signed_in
from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.options import Options, run
from bench.rig.programs import CenterProgram
from bench.rig.stored_fleet import store_fleet

TITLE = "console, 10,000 hosts scrolled and filtered"
_HOSTS: Final = 10_000
_WHEEL_STEPS: Final = 240
_WHEEL_PIXELS: Final = 900
_FILTERS: Final = ("web-0*", "tag:SITE=x7", "status:offline and db-*", "")
_FRAME_MS: Final = 1000 / 60
_FRAMES_A_SECOND: Final = 60.0
_SHORT: Final = _FRAME_MS * 1.5


async def measure(options: Options) -> list[Figure]:
    """Scroll through all of them, then type filters letter by letter."""
    count = options.hosts or _HOSTS
    with home() as folder:
        center = CenterProgram(folder)
        async with center:
            await center.stop()
            say(f"writing {count:,} agents")
            store_fleet(center.database, count)
            await center.start()
            async with open_browser() as browser, signed_in(browser, center) as context:
                page = await context.new_page()
                await page.goto(f"{center.url}/console/hosts")
                await page.get_by_role("row").nth(20).wait_for()
                say("scrolling")
                async with frames(page) as scrolled:
                    await _scroll(page)
                say("filtering")
                async with frames(page) as filtered:
                    await _filter(page)
    return [*_figures("scrolled", scrolled), *_figures("filtered", filtered)]


async def _scroll(page: Page) -> None:
    await page.mouse.move(600, 500)
    for step in range(_WHEEL_STEPS):
        await page.mouse.wheel(0, _WHEEL_PIXELS if step < _WHEEL_STEPS * 0.75 else -_WHEEL_PIXELS)


async def _filter(page: Page) -> None:
    field = page.get_by_label("Filter by target")
    for text in _FILTERS:
        await field.fill("")
        await field.press_sequentially(text, delay=60)
        await page.wait_for_timeout(400)


def _figures(what: str, gaps: list[float]) -> list[Figure]:
    missed = sum(round(gap / _FRAME_MS) - 1 for gap in gaps if gap > _SHORT)
    kept = len(gaps) / (len(gaps) + missed)
    return [
        # Budgets are upper limits: frames a second are told as the time that a frame takes.
        Figure(f"{what}: time a frame, mean", sum(gaps) / len(gaps), "ms", 1.05 * 1000 / _FRAMES_A_SECOND),
        Figure(f"{what}: frames a second", 1000 * len(gaps) / sum(gaps), "frames"),
        Figure(f"{what}: frames that came in time", kept * 100, "%"),
        Figure(f"{what}: longest time without a frame", percentile(gaps, 1.0), "ms"),
    ]


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
