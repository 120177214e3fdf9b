"""A log that is written fast, as somebody sees it: a file on a host in a real browser.

A real agent and a real center, and Chromium without a graphics card, which draws a frame each 16.7 ms when
nothing keeps it. A program writes 5,000 numbered lines a second; the page has to show the last one, to have
left none out untold, and never to be without a frame for long. Then the same while a text is filtered for.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

from playwright.async_api import Page, expect

from bench.log_stream import WRITER
from bench.rig.browser import frames, open_browser, signed_in
from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.programs import AgentProgram, CenterProgram

TITLE = "console, a log of 5,000 lines a second"
_RATE: Final = 5_000
_SECONDS: Final = 20
_LINE_BYTES: Final = 110
_LONGEST_MS: Final = 100.0
_PATIENCE_MS: Final = 10_000


async def measure(_options: Options) -> list[Figure]:
    """Look at the log as it is, then at the lines with one text."""
    figures: list[Figure] = []
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            key = await enrolment_key(center, token)
            async with (
                AgentProgram(folder, center.tls_url, key),
                open_browser() as browser,
                signed_in(browser, center) as context,
            ):
                [host] = await agents(center, token)
                for name, wanted in (("as it is", ""), ("filtered", "7 HTTP")):
                    file = folder / f"{len(figures)}.log"
                    file.write_text("begun 7 HTTP\n")
                    page = await context.new_page()
                    query = f"file={quote(str(file))}&q={quote(wanted)}"
                    await page.goto(f"{center.url}/console/hosts/{host['id']}/logs?{query}")
                    await page.get_by_role("region", name="Log").get_by_text("begun").wait_for()
                    say(f"{_RATE:,} lines a second for {_SECONDS} s, {name}")
                    figures += await _watch(page, file, name)
                    await page.close()
    return figures


async def _watch(page: Page, file: Path, name: str) -> list[Figure]:
    program = (sys.executable, "-c", WRITER, str(file), str(_RATE), str(_SECONDS), str(_LINE_BYTES))
    log = page.get_by_role("region", name="Log")
    async with frames(page) as gaps:
        writer = await asyncio.create_subprocess_exec(*program)
        await writer.wait()
        last = _RATE * _SECONDS - 1
        sought = last if name == "as it is" else last - 2
        await expect(log).to_contain_text(f"/things/{sought} ", timeout=_PATIENCE_MS)
    missed = await log.get_by_text("left out here").count()
    late = sum(gap > _LONGEST_MS for gap in gaps)
    return [
        Figure(f"{name}: longest time without a frame", percentile(gaps, 1.0), "ms", _LONGEST_MS),
        Figure(f"{name}: times without a frame for over 100 ms", late, "", 0),
        Figure(f"{name}: time a frame, p99", percentile(gaps, 0.99), "ms"),
        Figure(f"{name}: frames a second", 1000 * len(gaps) / sum(gaps), "frames"),
        Figure(f"{name}: gaps in the log that are in sight", missed, "", 0),
    ]


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
