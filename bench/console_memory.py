"""The console left open on a host whose figures are live: what the page's scripts hold, as time goes by.

A real center and a real agent, which tells its figures each few seconds. What nobody needs is let go before
each look. The first minutes fill what is kept on purpose (a quarter of an hour of figures); growth is counted
from there on.
"""

import argparse
import asyncio
import sys
import time
from functools import partial
from typing import Final

from bench.rig.browser import heap_bytes, open_browser, signed_in
from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.programs import AgentProgram, CenterProgram
from bench.rig.usage import MEGABYTE

TITLE = "console, memory of a page with live figures"
_MINUTES: Final = 60.0
_FILLED_AFTER: Final = 16.0
_LOOK_EVERY: Final = 60.0
_GROWTH_MB: Final = 1.0
"""What a page may grow in an hour and count as flat: about a hundredth of what a browser gives it."""


async def measure(_options: Options, minutes: float = _MINUTES) -> list[Figure]:
    """Look each minute, and tell what was held when the kept figures were full and at the end."""
    seen: list[tuple[float, int]] = []
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            agent = AgentProgram(folder, center.tls_url, await enrolment_key(center, token))
            async with agent, open_browser() as browser, signed_in(browser, center) as context:
                [host] = await agents(center, token)
                page = await context.new_page()
                await page.goto(f"{center.url}/console/hosts/{host['id']}")
                await page.locator("canvas").first.wait_for()
                session = await context.new_cdp_session(page)
                say(f"{minutes:.0f} minutes of live figures")
                began = time.monotonic()
                while (passed := time.monotonic() - began) < minutes * 60:
                    seen.append((passed / 60, await heap_bytes(session)))
                    await asyncio.sleep(_LOOK_EVERY)
                seen.append((minutes, await heap_bytes(session)))
    filled = next((held for minute, held in seen if minute >= min(_FILLED_AFTER, minutes / 2)), seen[0][1])
    last = seen[-1][1]
    return [
        Figure("grown since the kept figures were full", (last - filled) / MEGABYTE, "MB", _GROWTH_MB),
        Figure("held at first", seen[0][1] / MEGABYTE, "MB"),
        Figure("held when the kept figures were full", filled / MEGABYTE, "MB"),
        Figure("held at the end", last / MEGABYTE, "MB"),
        Figure("most ever held", max(held for _, held in seen) / MEGABYTE, "MB"),
        Figure("looked at for", minutes, "minutes"),
    ]


def main() -> int:
    """Measure for an hour, or as many minutes as are asked for."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=_MINUTES)
    given, rest = parser.parse_known_args()
    return run({TITLE: partial(measure, minutes=given.minutes)}, rest)


if __name__ == "__main__":
    sys.exit(main())
