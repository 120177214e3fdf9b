"""The fleet of simulated hosts as its measurer sees it: a child process that tells what happens."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from bench.rig.enrolment import Member, write_members
from bench.rig.fleet_process import AllLinked, FleetOrder, Line, RoundDone, Seconds

L = TypeVar("L", AllLinked, RoundDone, Seconds)
_STOP_SECONDS: Final = 30.0


class FleetEnded(Exception):
    """The process of simulated hosts is gone."""


class Fleet:
    """An async context manager that starts the process and leaves none behind."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[Member],
        center_url: str,
        authority: Path,
        *,
        dials_per_second: float = 250.0,
        minutes_per_second: float = 0.0,
        minutes_after: float = 0.0,
    ) -> None:
        """Prepare; `folder` takes the file with the members' keys and goes with the benchmark.

        So many minutes are told a second by all hosts together, so many seconds after all are linked.
        """
        self._file = folder / "members"
        self._members = members
        self._order = FleetOrder(
            center_url=center_url,
            authority=str(authority),
            members=str(self._file),
            dials_per_second=dials_per_second,
            minutes_per_second=minutes_per_second,
            minutes_after=minutes_after,
        )
        self._process: asyncio.subprocess.Process
        self._decoder = msgspec.json.Decoder(Line)
        self.seconds: list[Seconds] = []
        """Every tally read so far."""
        self.all_linked_at = 0.0
        """When the last host got its link, the last time that this was so."""

    async def __aenter__(self) -> Self:
        """Start the process; the hosts begin to dial."""
        self._file.write_bytes(write_members(self._members))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.rig.fleet_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if self._process.stdin is None:
            raise RuntimeError("the fleet has no standard input")
        self._process.stdin.write(msgspec.json.encode(self._order) + b"\n")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def next(self, kind: type[L]) -> L:
        """Return the next line of that kind. Raises FleetEnded."""
        if self._process.stdout is None:
            raise RuntimeError("the fleet has no standard output")
        while line := await self._process.stdout.readline():
            said = self._decoder.decode(line)
            if isinstance(said, Seconds):
                self.seconds.append(said)
            elif isinstance(said, AllLinked):
                self.all_linked_at = said.at
            if isinstance(said, kind):
                return said
        raise FleetEnded("the process of simulated hosts has ended")

    async def catch_up(self) -> None:
        """Read up to a tally of now. Raises FleetEnded."""
        now = time.monotonic()
        while (await self.next(Seconds)).at < now:
            pass
