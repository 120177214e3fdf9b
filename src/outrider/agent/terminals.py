"""The open terminals of this host. A terminal outlives the stream it is looked at on, for a minute."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from outrider.domain.errors import Unavailable
from outrider.domain.ids import TerminalId
from outrider.domain.terminals import (
    KEPT_SECONDS,
    MAX_TERMINALS,
    Ending,
    TerminalOver,
    TerminalTaken,
    TooManyTerminals,
)
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.threads import call_in_thread
from outrider.engines.terminal.leftovers import TerminalRecords, end_leftovers
from outrider.engines.terminal.pseudo_terminal import PseudoTerminal
from outrider.engines.terminal.recent_output import RecentOutput
from outrider.engines.terminal.start import TerminalSpec, discard_terminal, start_terminal
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks

log = logs.get(__name__)

AHEAD: Final = 64 * 1024
"""Bytes that are read from a terminal before who looks at it has taken them; then its programs wait."""
START_SECONDS: Final = 30.0
"""How long a start that hangs (a silent directory server) is waited for."""
STOP_GRACE: Final = 2.0
"""Seconds between HUP and TERM when the agent itself has to go."""
_TELL_WITHIN: Final = 1.0
"""Seconds that those who look have to take the news of a terminal's end when the agent goes."""
_LAST_WORDS: Final = 1.0
_LAST_BYTES: Final = 256 * 1024
"""What is read after the shell's end: more than the kernel keeps, so that all the rest is another's."""
_PIECE: Final = 32 * 1024
_STOPPED: Final = "The agent on the host was stopped or restarted."
_NOBODY: Final = "Nobody came back to it within a minute."


class Terminal:
    """One terminal: its shell, what it showed lately, and at most one stream that looks at it."""

    def __init__(self, terminal_id: TerminalId, pty: PseudoTerminal, clock: Clock, kept: float) -> None:
        """Begin with nobody looking; it waits `kept` seconds for somebody who does."""
        self.id = terminal_id
        self.pty = pty
        self.recent = RecentOutput()
        #: How it ended; all it has shown is in `recent` by then.
        self.ending: Ending | None = None
        #: Whether somebody was told how it ended.
        self.told = False
        self._clock = clock
        self._kept = kept
        self._reason = ""
        self._view: View | None = None
        self._changed = asyncio.Event()
        self._unwanted = asyncio.Event()

    def look(self, seen: int | None, sent_away: Callable[[TerminalTaken], None]) -> "View":
        """Look at it from the byte `seen` on (None: from the oldest kept); who looked before is sent away.

        `sent_away` is called when that happens to this look: it may be waiting for its reader then.
        """
        if self._view is not None:
            self._view.send_away()
        floor = self.recent.floor
        start = floor if seen is None else min(max(seen, floor), self.recent.total)
        lost = 0 if seen is None else start - min(seen, start)
        self._view = View(self, start, lost, sent_away)
        self._changed.set()
        return self._view

    def left(self, view: "View") -> None:
        """Note that a view was left; the terminal waits for another one for a minute."""
        if self._view is view:
            self._view = None
            self._changed.set()

    def hang_up(self, reason: str) -> None:
        """End it soon."""
        self._reason = self._reason or reason
        self._unwanted.set()

    def moved_on(self) -> None:
        """Note that a view has taken some output."""
        self._changed.set()

    def was_told(self) -> None:
        """Note that somebody was told how it ended: nobody has to come back for that."""
        self.told = True
        self._changed.set()

    async def live(self) -> None:
        """Keep it going until its shell has ended, it is hung up, or nobody has looked at it for a minute."""
        async with Tasks(f"terminal {self.id}") as tasks:
            pump = tasks.start("output", self._pump())
            unwanted = tasks.start("hang-up", self._hung_up())
            first = {unwanted, tasks.start("exit", self._exit()), tasks.start("nobody", self._nobody_looks())}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            rest = tasks.start("rest", self.pty.end())
            if not self.pty.has_exited:
                await rest
                await asyncio.wait({pump}, timeout=_LAST_WORDS)
            else:
                # What the shell said last is first taken by who looks on.
                await asyncio.wait({pump, unwanted}, return_when=asyncio.FIRST_COMPLETED)
            await self._settle()
            await rest

    async def stop(self) -> None:
        """End it because the agent has to go, with little time left."""
        self._reason = self._reason or _STOPPED
        await self.pty.end(grace=STOP_GRACE)
        await self._settle()

    async def linger(self) -> None:
        """Wait, after the end, until somebody was told of it, or would not come any more."""
        while not self.told:
            try:
                await self._clock.wait_for(self._change(), self._kept)
            except TimeoutError:
                if self._view is None:
                    return

    def tell(self) -> None:
        """Wake whoever waits for news of it."""
        self._changed.set()
        if self._view is not None:
            self._view.news.set()

    async def _settle(self) -> None:
        if self.ending is not None:
            return
        ending = Ending(reason="Its shell can't be ended.")
        if self.pty.has_exited:
            ending = await self.pty.exited()
        if self._reason:
            ending = msgspec.structs.replace(ending, reason=self._reason)
        self.ending = ending
        self.tell()

    async def _pump(self) -> None:
        """Read what the terminal shows, never far ahead of who looks at it."""
        rest = _LAST_BYTES
        while rest > 0 and (data := await self.pty.read()):
            if self.pty.has_exited:
                rest -= len(data)
            # First: what is kept must reach back to where the view is.
            while self._view is not None and self.recent.total - self._view.position > AHEAD:
                await self._change()
            self.recent.add(data)
            self.tell()

    async def _exit(self) -> None:
        await self.pty.exited()

    async def _hung_up(self) -> None:
        await self._unwanted.wait()

    async def _nobody_looks(self) -> None:
        """Return when nobody has looked at it for a minute."""
        while True:
            while self._view is not None:
                await self._change()
            try:
                await self._clock.wait_for(self._looked_at(), self._kept)
            except TimeoutError:
                self._reason = self._reason or _NOBODY
                return

    async def _looked_at(self) -> None:
        while self._view is None:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class View:
    """One look at a terminal: what it shows from some byte on, until it ends or another look takes over."""

    def __init__(
        self, terminal: Terminal, position: int, lost: int, sent_away: Callable[[TerminalTaken], None]
    ) -> None:
        """Made by `Terminal.look`."""
        self._terminal = terminal
        self._sent_away = sent_away
        #: The offset of the next byte to be given.
        self.position = position
        #: How many bytes between what was seen and `position` are gone.
        self.lost = lost
        self.news = asyncio.Event()

    async def next(self) -> bytes | Ending:
        """Give what is shown next, or how the terminal ended."""
        while True:
            if data := self._terminal.recent.read(self.position, _PIECE):
                return data
            if self._terminal.ending is not None:
                return self._terminal.ending
            self.news.clear()
            await self.news.wait()

    def took(self, data: bytes) -> None:
        """Note that this was sent on."""
        self.position += len(data)
        self._terminal.moved_on()

    def send_away(self) -> None:
        """End this look."""
        self._sent_away(TerminalTaken("The terminal is looked at from somewhere else now."))


class Terminals:
    """Opens terminals, finds them again, and ends them all when the agent goes. A service."""

    name = "terminals"

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        cgroups: TaskCgroups | None,
        base_environment: Mapping[str, str] | None = None,
        kept: float = KEPT_SECONDS,
    ) -> None:
        """`folder` is where open terminals are noted: the next start ends what a killed agent left."""
        self._kept = kept
        self._records = TerminalRecords(folder)
        self._clock = clock
        self._cgroups = cgroups
        self._base_environment = dict(base_environment or {})
        self._open: dict[TerminalId, Terminal] = {}
        self._starting = 0
        self._tasks = Tasks(self.name)
        self._is_stopping = False

    def __len__(self) -> int:
        """Count the terminals, with those that have ended and wait for their person to see it."""
        return len(self._open)

    async def serve(self, ready: Ready) -> None:
        """End what a killed agent left; then keep terminals until cancelled, and end them."""
        self._is_stopping = False
        async with self._tasks:
            await self._end_leftovers()
            ready()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._is_stopping = True
                await self._end_all()

    async def open(self, spec: TerminalSpec) -> Terminal:
        """Open a terminal. Raises TooManyTerminals, NoTerminal, Invalid, or Unavailable."""
        self._check_stopping()
        if spec.terminal_id in self._open:
            raise TerminalTaken("There is a terminal with this id already.")
        if len(self._open) + self._starting >= MAX_TERMINALS:
            raise TooManyTerminals(
                f"This host has {MAX_TERMINALS} terminals open already: end one of them first.",
                limit=MAX_TERMINALS,
            )
        self._starting += 1
        starting = call_in_thread(
            "terminal-start", lambda: start_terminal(spec, self._base_environment), discard_terminal
        )
        try:
            started = await self._clock.wait_for(starting, START_SECONDS)
        except TimeoutError:
            raise Unavailable(
                f"The shell did not start within {START_SECONDS:.0f} s; does a directory server not answer?"
            ) from None
        finally:
            self._starting -= 1
        try:
            self._check_stopping()
        except Unavailable:
            await asyncio.to_thread(discard_terminal, started)
            raise
        pty = PseudoTerminal(started, clock=self._clock, cgroups=self._cgroups)
        terminal = self._open[spec.terminal_id] = Terminal(spec.terminal_id, pty, self._clock, self._kept)
        self._tasks.spawn(spec.terminal_id, self._keep(terminal))
        return terminal

    def _check_stopping(self) -> None:
        if self._is_stopping:
            raise Unavailable(_STOPPED)

    def find(self, terminal_id: TerminalId) -> Terminal:
        """Find a terminal. Raises TerminalOver when there is none (any more)."""
        found = self._open.get(terminal_id)
        if found is None:
            raise TerminalOver(
                "The terminal is over: nobody came back to it in time, or the host's agent was restarted."
            )
        return found

    async def _keep(self, terminal: Terminal) -> None:
        try:
            try:
                await asyncio.to_thread(self._records.add, terminal.pty.record)
            except OSError as error:
                log.warning("a terminal can't be noted", terminal=terminal.id, error=error)
            await terminal.live()
            await asyncio.to_thread(self._records.remove, terminal.id)
            terminal.pty.close()
            await terminal.linger()
        finally:
            terminal.pty.close()
            del self._open[terminal.id]

    async def _end_all(self) -> None:
        async with Tasks("ending terminals") as tasks:
            ending = [tasks.start(each.id, self._stop(each)) for each in list(self._open.values())]
            if ending:
                await asyncio.wait(ending)
        await asyncio.to_thread(self._records.clear)

    async def _stop(self, terminal: Terminal) -> None:
        await terminal.stop()
        try:
            await self._clock.wait_for(terminal.linger(), _TELL_WITHIN)
        except TimeoutError:
            log.debug("nobody was told of a terminal's end", terminal=terminal.id)

    async def _end_leftovers(self) -> None:
        records = await asyncio.to_thread(self._records.read)
        if any(record.has_other_daemon() for record in records):
            log.warning("another agent has these terminals: its folder was copied; they are left alone")
        elif records and (count := await end_leftovers(records, clock=self._clock)):
            log.warning("ended what a killed agent left of its terminals", processes=count)
        await asyncio.to_thread(self._records.clear)
