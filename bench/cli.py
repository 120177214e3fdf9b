"""How long a person waits for the program itself: its help, and a list of 10,000 agents.

A real center as a process with 10,000 enrolled agents, and `outrider` started as a shell starts it: from the
start of the process to its end, with its output read through a pipe.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Mapping

from bench.rig.enrolment import enrol
from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.operator import enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.programs import ADMIN_PASSWORD, CenterProgram

TITLE = "the CLI, from start to end of its process"
_HOSTS = 10_000
_ROUNDS = 9
_HELP_MS = 150.0
_LIST_MS = 1000.0
_PROGRAM = (sys.executable, "-m", "outrider")


class WrongEnd(Exception):
    """The program did not succeed; its time says nothing."""


async def measure(options: Options) -> list[Figure]:
    """Measure each command line and take the medians."""
    hosts = options.hosts or _HOSTS
    with home() as folder:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")},
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        figures = [Figure("outrider --help, median", await _median(environ, "--help"), "ms", _HELP_MS)]
        figures.append(Figure("outrider exec --help, median", await _median(environ, "exec", "--help"), "ms"))
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            say(f"enrolling {hosts} simulated agents")
            await enrol(center.url, await enrolment_key(center, token), hosts)
            await _ended(
                environ, "login", center.url, "--password-stdin", stdin=f"{ADMIN_PASSWORD}\n".encode()
            )
            budgets: dict[tuple[str, ...], float | None] = {
                ("version", "--with-center"): None,
                ("agents",): _LIST_MS,
                ("agents", "--json"): _LIST_MS,
                ("complete", "--", "exec", ""): None,
            }
            for words, budget in budgets.items():
                name = f"outrider {' '.join(words)}".rstrip()
                figures.append(
                    Figure(f"{name}, {hosts:,} agents, median", await _median(environ, *words), "ms", budget)
                )
    return figures


async def _median(environ: Mapping[str, str], *words: str) -> float:
    say(f"{_ROUNDS} times outrider {' '.join(words)}")
    await _ended(environ, *words)
    return statistics.median([await _ended(environ, *words) for _ in range(_ROUNDS)]) * 1000


async def _ended(environ: Mapping[str, str], *words: str, stdin: bytes = b"") -> float:
    """Run the program to its end; return the seconds that it took."""
    pipe = asyncio.subprocess.PIPE
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM, *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environ
    )
    _, err = await process.communicate(stdin)
    took = time.perf_counter() - began
    if process.returncode != 0:
        raise WrongEnd(f"outrider {' '.join(words)} ended with {process.returncode}: {err.decode()}")
    return took


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
