"""Following the systemd journal, by journalctl: from the last entries or a cursor on, and again when it dies.

The journal holds its own past: journalctl waits while its pipe is full, and reads on later, so nothing piles
up here for a reader that is slow. One that is behind for `MAX_BEHIND` seconds skips to what is written now.

With a pattern, the last entries that fit are looked up first, backwards, and followed after them in a second
run: `journalctl --follow --grep` looks only at as many of the last entries as it is to show.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from outrider.domain.errors import HostFault, Invalid
from outrider.domain.logs import NoUnit
from outrider.engines.logs import journalctl
from outrider.engines.logs.events import Event, LeftOut, Lines, Place, Remark
from outrider.engines.logs.journal_entries import PREFIX, EntryReader
from outrider.engines.logs.journalctl import Child, Died, Journal, Query
from outrider.kit.clock import Clock

MAX_BEHIND: Final = 10.0
"""Seconds that a reader may be behind without ever having caught up, before it skips."""
_STARTS: Final = 5
"""How often journalctl is started again without giving anything."""
_PAUSE: Final = 0.5
_TOLD_EVERY: Final = 1.0
_MOST_PAST: Final = 4 * 1024 * 1024
"""Bytes of past entries that are turned round at once."""
_AT_ONCE: Final = 200


async def follow_journal(
    journal: Journal,
    query: Query,
    *,
    clock: Clock,
    lines: int,
    after: str = "",
    follow: bool = True,
) -> AsyncGenerator[Event, None]:
    """Give the last `lines` entries that fit, then those that are written; without `follow` only the former.

    Instead of the last entries it goes on after a position (`after`). Raises NoJournal, NoUnit, Forbidden,
    Invalid (position, pattern) and HostFault.
    """
    program = await asyncio.to_thread(journal.check)
    following = _Following(program, journal, query, clock)
    if after:
        if not after.startswith(PREFIX):
            raise Invalid(
                "This is no position in the journal: the id is of another log.", field="Last-Event-ID"
            )
        following.reader.last = after.removeprefix(PREFIX)
    elif query.unit:
        await following.check_unit()
    if not after and not lines and follow and (place := await following.skip_past()) is not None:
        yield place
    elif query.pattern and not after:
        async with aclosing(following.matching_past(lines)) as past:
            async for event in past:
                yield event
        lines = 0
        if not follow:
            return
    async with aclosing(following.events(lines, follow=follow)) as events:
        async for event in events:
            yield event


class _Following:
    """One reader of a journal."""

    def __init__(self, program: str, journal: Journal, query: Query, clock: Clock) -> None:
        self.reader = EntryReader()
        self._program = program
        self._journal = journal
        self._query = query
        self._clock = clock
        self._is_live = False
        self._behind: float | None = None

    async def check_unit(self) -> None:
        """Raise NoUnit when neither the journal nor systemd knows the unit."""
        unit = self._query.unit
        try:
            if await self._ask("--lines=1", f"--unit={unit}"):
                return
        except NoUnit:
            pass  # journalctl itself says it of a pattern; systemd may know better
        if not self._journal.folder and await journalctl.systemd_knows(unit, self._clock):
            return
        raise NoUnit(
            f"This host has no unit {unit}, and its journal has nothing of one. "
            "`systemctl list-units --all` lists them.",
            unit=unit,
        )

    async def _ask(self, *arguments: str) -> bytes:
        return await journalctl.first_lines(self._program, self._journal, arguments, self._clock)

    async def skip_past(self) -> Place | None:
        """Begin after the newest entry there is; None while there is none at all."""
        newest = EntryReader()
        newest.take(await self._ask("--lines=1"))
        self.reader.last = newest.last
        return Place(PREFIX + self.reader.last) if self.reader.last else None

    async def matching_past(self, lines: int) -> AsyncGenerator[Event, None]:
        """Give the last entries that the pattern is found in, and leave the cursor where following begins."""
        head = EntryReader()
        head.take(await self._ask("--lines=1"))
        newest = []
        if lines:
            arguments = [*self._query.arguments(), "--reverse", f"--lines={lines}"]
            async with journalctl.start(self._program, self._journal, arguments, self._clock) as child:
                size = 0
                reader = EntryReader()
                while piece := await child.read():
                    if (found := reader.take(piece)) is not None:
                        newest += found.data.splitlines(keepends=True)
                        size += len(found.data)
                    if size > _MOST_PAST:
                        break
                else:
                    await child.ended()
        newest.reverse()
        if newest:
            last, _, _ = newest[-1].partition(b"\t")
            head.last = last.decode().removeprefix(PREFIX)
            for start in range(0, len(newest), _AT_ONCE):
                some = newest[start : start + _AT_ONCE]
                yield Lines(b"".join(some), len(some))
        self.reader.last = head.last

    async def events(self, lines: int, *, follow: bool) -> AsyncGenerator[Event, None]:
        """Give entries, starting journalctl as often as it has to be."""
        failures = 0
        while True:
            # Without --no-tail following would begin with the last ten entries.
            tail = "--no-tail" if self.reader.last else f"--lines={lines}"
            arguments = [*self._query.arguments(after=self.reader.last), tail]
            if follow:
                arguments.append("--follow")
            before = self.reader.last
            async with journalctl.start(self._program, self._journal, arguments, self._clock) as child:
                async with aclosing(self._entries(child)) as entries:
                    async for event in entries:
                        yield event
                try:
                    await child.ended()
                except Died as death:
                    reason = death.detail
                else:
                    if not follow:
                        return
                    reason = "journalctl has ended."
            failures = failures + 1 if self.reader.last == before else 0
            if failures >= _STARTS:
                raise HostFault("journalctl ends again and again on this host.")
            # What was read of an entry that is not whole comes again.
            self.reader = EntryReader(self.reader.last)
            yield Remark("restarted", f"{reason} It is started again where it stopped.")
            await self._clock.sleep(_PAUSE * failures)

    async def _entries(self, child: Child) -> AsyncGenerator[Event, None]:
        while piece := await child.read():
            now = self._clock.monotonic()
            if child.is_drained:
                self._is_live, self._behind = True, None
            elif self._behind is None:
                self._behind = now
            if self._is_live and self._behind is not None and now - self._behind > MAX_BEHIND:
                yield await self._skip(child, piece)
            elif (found := self.reader.take(piece)) is not None:
                yield found

    async def _skip(self, child: Child, piece: bytes) -> LeftOut:
        """Leave out what is there until nothing more is, or it is time to tell."""
        until = self._clock.monotonic() + _TOLD_EVERY
        count = self.reader.leave_out(piece)
        while not child.is_drained and self._clock.monotonic() < until and (more := await child.read()):
            count += self.reader.leave_out(more)
        return LeftOut(count, PREFIX + self.reader.last)
