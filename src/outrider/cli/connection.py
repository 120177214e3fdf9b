"""Which center a command line is for, and work done in it."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from cyclopts import Parameter

from outrider import __version__
from outrider.cli import centers, memory
from outrider.cli.interrupts import woken_by_signals
from outrider.domain.errors import OutriderError, Unauthenticated
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from outrider.cli.centers import SavedCenter
    from outrider.client import AsyncCenter

T = TypeVar("T")

_VERSION_PATIENCE: Final = 1.0
"""Seconds that the question for the center's version may go on after the work is done."""


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """The option that every command about a center takes."""

    center: Annotated[
        str | None,
        Parameter(env_var="OUTRIDER_CENTER", help="Saved center to ask; else the one signed in to last."),
    ] = None


def chosen(where: Where | None) -> tuple[str, SavedCenter]:
    """The saved center that is meant, signed in. Raises NotFound or Unauthenticated."""
    saved = centers.load(centers.default_path(os.environ))
    name, found = saved.find(where.center if where else None)
    if not found.token:
        raise Unauthenticated(f"You are signed out of {name}. Sign in with `outrider login --center {name}`.")
    return name, found


def ask(where: Where | None, work: Callable[[AsyncCenter], Awaitable[T]]) -> T:
    """Do `work` with the center that `where` names, signed in. Raises what it raises.

    Once a day the center's version is looked at as well: one that differs is told in a line.
    """
    name, found = chosen(where)
    remembered = memory.Memory.of(name, os.environ)

    # Loaded this late, because what went wrong so far is told at once.
    from outrider.client import AsyncCenter

    async def run() -> T:
        center = AsyncCenter(
            found.url,
            token=found.token,
            authority=found.authority or None,
            allow_plain=found.allow_plain,
            slow=_tell_slow if sys.stderr.isatty() else None,
        )
        with woken_by_signals():
            async with center:
                if remembered.knows_version(__version__):
                    return await work(center)
                return await _with_version(center, work, remembered)

    return asyncio.run(run())


async def _with_version(
    center: AsyncCenter, work: Callable[[AsyncCenter], Awaitable[T]], remembered: memory.Memory
) -> T:
    try:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(_look_at_version(center, remembered), name="center's version")
            done = await work(center)
            await asyncio.wait((looking,), timeout=_VERSION_PATIENCE)
            looking.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return done


async def _look_at_version(center: AsyncCenter, remembered: memory.Memory) -> None:
    try:
        theirs = (await center.session()).center.version
    except OutriderError:
        # The work itself tells what is wrong; the version is looked at another time.
        return
    remembered.note_version(__version__)
    if theirs and _release(theirs) != _release(__version__):
        sys.stderr.write(
            f"outrider: the center at {center.url} is of version {escape(theirs)}, this program of "
            f"{__version__}: use the one that came with it.\n"
        )


def _release(version: str) -> list[str]:
    return version.split(".")[:2]


def _tell_slow(url: str, seconds: float) -> None:
    sys.stderr.write(f"outrider: {url} has not answered for {seconds:.0f} s; waiting (Ctrl-C ends).\n")
