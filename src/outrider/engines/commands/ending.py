"""Ending processes: TERM, some time to leave, then KILL until nothing is left."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from outrider.engines.commands.processes import ProcessHandle, ProcessStat
from outrider.kit.clock import Clock

TERM_GRACE: Final = 5.0
"""Seconds between TERM and KILL (contract 002)."""
KILL_PATIENCE: Final = 2.0
"""Seconds until a killed process counts as stuck in the kernel."""
_KILL_ROUNDS: Final = 50
"""How often new processes of the same command are killed: a chain of forks is hit sooner or later."""
_MAX_HANDLES: Final = 200

Find = Callable[[], list[ProcessStat]]


@dataclass(slots=True)
class Ended:
    """What was met: the pids there were, and those of them that could not be ended."""

    met: set[int] = field(default_factory=set)
    stubborn: tuple[int, ...] = ()


def _nobody(_: ProcessStat) -> bool:
    return False


def _nothing() -> None:
    return


async def end_processes(
    find: Find,
    *,
    clock: Clock,
    grace: float,
    settle: float = 0.0,
    told: Callable[[ProcessStat], bool] = _nobody,
    kill_all: Callable[[], None] = _nothing,
) -> Ended:
    """End every process that `find` gives: TERM, `grace` seconds, KILL, and again while new ones appear.

    `find` walks /proc, so it runs in a thread. First all get `settle` seconds to end by themselves; those
    that do are not counted. Those `told` already get no second TERM. `kill_all` runs before the first KILL: a
    process group or a cgroup ends all of its own at once, also those that fork while they are looked at.
    Returns when all are gone, or says which are not: not ours to signal, or stuck in the kernel.
    """
    ended = Ended()
    found = await asyncio.to_thread(find)
    if found and settle > 0:
        await _send(found, (), Ended(), (), clock, settle)
        found = await asyncio.to_thread(find)
    if not found:
        return ended
    unasked = [stat for stat in found if not told(stat)]
    await _send(found, unasked, ended, (signal.SIGTERM, signal.SIGCONT), clock, grace)
    found = await asyncio.to_thread(find)
    if found:
        kill_all()
    killed: set[tuple[int, int]] = set()
    for _ in range(_KILL_ROUNDS):
        fresh = {(stat.pid, stat.start_ticks) for stat in found} - killed
        if not fresh:
            break
        killed |= fresh
        await _send(found, found, ended, (signal.SIGKILL,), clock, KILL_PATIENCE)
        found = await asyncio.to_thread(find)
    ended.stubborn = tuple(sorted(stat.pid for stat in found))
    return ended


async def _send(
    found: Iterable[ProcessStat],
    addressed: Iterable[ProcessStat],
    ended: Ended,
    signals: tuple[signal.Signals, ...],
    clock: Clock,
    seconds: float,
) -> None:
    """Send `signals` to the `addressed` and wait up to `seconds` for all `found` that may be signalled to go.

    Of a crowd only the first ones are waited for, so that descriptors do not run out: the others are found
    again.
    """
    wanted = {stat.pid for stat in addressed}
    waited: list[ProcessHandle] = []
    try:
        for stat in found:
            handle = ProcessHandle.hold(stat)
            if handle is None:
                continue
            ended.met.add(stat.pid)
            if stat.pid in wanted and not handle.send(*signals):
                handle.release()
            elif len(waited) < _MAX_HANDLES:
                waited.append(handle)
            else:
                handle.release()
        try:
            await clock.wait_for(_all_gone(waited), seconds)
        except TimeoutError:
            return
    finally:
        for handle in waited:
            handle.release()


async def _all_gone(handles: Iterable[ProcessHandle]) -> None:
    for handle in handles:
        await handle.gone()
