"""How long a person waits for the program itself: its help, a list of 10,000 agents, a line on one host.

A real center as a process, with 10,000 agents in its database and one real agent, and `outrider` started as
a shell starts it: from the start of the process to its end, with its output read through a pipe. Its modules
are compiled, as in an installed program. Beside the time to wait stands the processor's, which says more on
a machine that others use.
"""

import asyncio
import os
import resource
import socket
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.operator import enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.programs import ADMIN_PASSWORD, AgentProgram, CenterProgram
from bench.rig.stored_fleet import store_fleet
from bench.rig.usage import Usage

TITLE: Final = "the CLI, from start to end of its process"
_HOSTS: Final = 10_000
_ROUNDS: Final = 9
_HELP_MS: Final = 150.0
_LIST_MS: Final = 1000.0
_PROGRAM: Final = (sys.executable, "-m", "outrider")
# These would have every start of the program compile its modules, or write each line by itself.
_NOT_OURS: Final = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPROFILEIMPORTTIME"})


class WrongEnd(Exception):
    """The program did not succeed; its time says nothing."""


class Took(NamedTuple):
    """Seconds that one run of the program took: on the clock, and of the processor."""

    clock: float
    processor: float


async def measure(options: Options) -> list[Figure]:
    """Measure each command line and take the medians."""
    hosts = options.hosts or _HOSTS
    with home() as folder:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OUTRIDER_") and name not in _NOT_OURS
        } | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        }
        figures = await _figures(environ, "--help", budget=_HELP_MS)
        figures += await _figures(environ, "exec", "--help")
        center = CenterProgram(folder)
        async with center:
            await center.stop()
            say(f"writing {hosts:,} agents")
            store_fleet(center.database, hosts)
            await center.start()
            key = await enrolment_key(center, await sign_in(center))
            await _ended(
                environ, "login", center.url, "--password-stdin", stdin=f"{ADMIN_PASSWORD}\n".encode()
            )
            for words, budget in {
                ("version", "--with-center"): None,
                ("agents",): _LIST_MS,
                ("agents", "--json"): _LIST_MS,
                ("complete", "--", "exec", ""): None,
            }.items():
                before = Usage.of(center.pid)
                figures += await _figures(environ, *words, budget=budget)
                used = (Usage.of(center.pid).cpu - before.cpu) * 1000 / (_ROUNDS + 1)
                if budget is not None:
                    figures.append(Figure("  the center's processor time for it, mean", used, "ms"))
            async with AgentProgram(folder, center.tls_url, key):
                figures += await _figures(environ, "exec", socket.gethostname(), "true")
    return figures


async def _figures(environ: Mapping[str, str], *words: str, budget: float | None = None) -> list[Figure]:
    name = f"outrider {' '.join(words)}".rstrip()
    say(f"{_ROUNDS} times {name}")
    await _ended(environ, *words)
    rounds = [await _ended(environ, *words) for _ in range(_ROUNDS)]
    return [
        Figure(f"{name}, median", statistics.median(each.clock for each in rounds) * 1000, "ms", budget),
        Figure("  its processor time, median", statistics.median(e.processor for e in rounds) * 1000, "ms"),
    ]


async def _ended(environ: Mapping[str, str], *words: str, stdin: bytes = b"") -> Took:
    """Run the program to its end."""
    pipe = asyncio.subprocess.PIPE
    used, began = _processor(), time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM, *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environ
    )
    _, err = await process.communicate(stdin)
    took = Took(clock=time.perf_counter() - began, processor=_processor() - used)
    if process.returncode != 0:
        raise WrongEnd(f"outrider {' '.join(words)} ended with {process.returncode}: {err.decode()}")
    return took


def _processor() -> float:
    """The processor seconds of the children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
