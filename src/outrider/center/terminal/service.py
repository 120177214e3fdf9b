"""Terminals: opened, come back to, listed, ended, replayed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from outrider.center.blobs.contract import BlobMissing, Blobs
from outrider.center.http.callers import Caller
from outrider.center.http.event_streams import EventStreams
from outrider.center.http.upgrades import Serve, Socket
from outrider.center.link.host_streams import HostStreams
from outrider.center.store.engine import Store
from outrider.center.terminal import rows
from outrider.center.terminal.attachment import Attachment, Opened, Place, Why, hang_up, say
from outrider.center.terminal.recording import (
    PREFIX,
    Recording,
    RecordingMode,
    merge,
    parts_of,
    read,
    whole_key,
)
from outrider.center.terminal.rows import TerminalRow, no_such_terminal
from outrider.center.terminal.writes import (
    END_TERMINALS,
    LEAVE_TERMINALS,
    NOTE_MERGED,
    NOTE_READINGS,
    OPEN_TERMINALS,
    RETURN_TO,
    End,
    Leaving,
    Merged,
    Opening,
    Reading,
    Return,
)
from outrider.domain.actors import CENTER, Actor
from outrider.domain.errors import HostFault, LinkFault, NotFound, OutriderError, Unavailable
from outrider.domain.ids import AgentId, TerminalId, new_terminal_id
from outrider.domain.roles import Role
from outrider.domain.terminals import (
    KEPT_SECONDS,
    Columns,
    CommandLine,
    Ending,
    Rows,
    Seen,
    TerminalOver,
    TermName,
    UserName,
)
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.terminal_stream import (
    KIND,
    WINDOW,
    Attached,
    AttachTerminal,
    EndTerminal,
    OpenTerminal,
    Over,
)

log = logs.get(__name__)

SWEEP_EVERY: Final = 15.0
GIVEN_UP_AFTER: Final = KEPT_SECONDS + 15.0
"""Seconds after which a terminal that nobody looks at has ended on its host for sure."""
_REMOVE_EVERY: Final = 3600.0
_FIRST_AFTER: Final = 60.0
_CHUNK: Final = 200
_LEFT_WITHIN: Final = 30.0
_ANSWER_WITHIN: Final = 5.0
_NOBODY: Final = "Nobody came back to it within a minute."
_DELETED: Final = "Its host was deleted."
_ELSEWHERE: Final = "The terminal is looked at from somewhere else now."


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for: a new terminal, or, with `terminal`, to come back to one."""

    columns: Columns = 80
    rows: Rows = 24
    term: TermName = "xterm-256color"
    user: UserName | None = None
    command: CommandLine | None = None
    terminal: str | None = None
    #: Up to which byte of its output they have seen; None shows what is still kept.
    seen: Seen | None = None


class TerminalService:
    """Everything about terminals but the routes. A service: it ends what nobody looks at."""

    name = "terminals"

    def __init__(
        self,
        store: Store,
        host_streams: HostStreams,
        event_streams: EventStreams,
        blobs: Blobs,
        clock: Clock,
        *,
        recording_of: Callable[[AgentId], Awaitable[RecordingMode]],
        idle: float,
    ) -> None:
        """Take the parts and the rules.

        `recording_of` says what is recorded on a host, `idle` after how many seconds without input a terminal
        ends (0: never).
        """
        self._store = store
        self._host_streams = host_streams
        self._event_streams = event_streams
        self._blobs = blobs
        self._clock = clock
        self._recording_of = recording_of
        self._idle = idle
        self._places: dict[TerminalId, Place] = {}
        # A recording is put together by one at a time.
        self._merging = asyncio.Lock()

    async def serve(self, ready: Ready) -> None:
        """Look after terminals that nobody looks at, until cancelled."""
        ready()
        # Not in the first minute: blobs are not needed to start.
        removed_at = self._clock.monotonic() - _REMOVE_EVERY + _FIRST_AFTER
        while True:
            try:
                await self.sweep()
                if self._clock.monotonic() - removed_at >= _REMOVE_EVERY:
                    await self.remove_orphans()
                    removed_at = self._clock.monotonic()
            except OutriderError as error:
                log.warning("terminals could not be looked after", reason=error.detail)
            await self._clock.sleep(SWEEP_EVERY)

    # --- looking at a terminal

    def answer(self, agent_id: AgentId, wish: Wish, caller: Caller) -> Serve:
        """Return what takes a person's connection over."""

        async def serve(socket: Socket) -> None:
            if wish.terminal is None:
                await self._open(socket, agent_id, wish, caller)
            else:
                await self._return(socket, agent_id, TerminalId(wish.terminal), wish, caller)

        return serve

    async def _open(self, socket: Socket, agent_id: AgentId, wish: Wish, caller: Caller) -> None:
        terminal_id = new_terminal_id(self._clock.time())
        request = OpenTerminal(
            terminal_id=terminal_id,
            columns=wish.columns,
            rows=wish.rows,
            term=wish.term,
            user=wish.user,
            command=wish.command,
        )
        async with (
            self._place(terminal_id) as place,
            self._host_streams.open(agent_id, KIND, request, window=WINDOW) as stream,
        ):
            attached = await _attached(stream)
            mode = await self._recording_of(agent_id)
            row = TerminalRow(
                id=terminal_id,
                agent_id=agent_id,
                user_id=caller.user_id,
                username=caller.username,
                address=caller.address,
                account=attached.account,
                command=wish.command,
                started=self._clock.time(),
                detached=None,
                ended=None,
                exit_code=None,
                signal=None,
                reason="",
                bytes_in=0,
                bytes_out=0,
                recorded=mode is not RecordingMode.OFF,
            )
            try:
                await self._store.writer.submit(
                    OPEN_TERMINALS, Opening(row=row, by=caller.actor, recording=mode.value)
                )
                recording = self._recording(row, mode)
                await recording.begin(
                    columns=wish.columns,
                    rows=wish.rows,
                    term=wish.term,
                    title=f"{attached.account} on {agent_id}",
                )
            except OutriderError as error:
                await self._take_back(row, stream, error)
                raise
            await self._carry(socket, stream, attached, row, place, recording, caller)

    async def _take_back(self, row: TerminalRow, stream: OpenStream, error: OutriderError) -> None:
        """End a terminal that can't be written down: nothing was typed into it yet."""
        ending = Ending(reason=f"It was not begun: {error.detail}")
        if await hang_up(stream, self._clock, ending.reason) is None:
            await self._end_on_host(row)
        try:
            await self._end(row, ending, CENTER)
        except OutriderError as again:
            # The sweep finds it, if it was written down at all.
            log.warning("a terminal's end could not be written down", terminal=row.id, reason=again.detail)

    async def _return(
        self, socket: Socket, agent_id: AgentId, terminal_id: TerminalId, wish: Wish, caller: Caller
    ) -> None:
        await self._own_open(agent_id, terminal_id, caller)
        request = AttachTerminal(
            terminal_id=terminal_id, columns=wish.columns, rows=wish.rows, seen=wish.seen
        )
        async with self._place(terminal_id) as place:
            # Who was there before has written down what passed until now.
            row = await self._own_open(agent_id, terminal_id, caller)
            try:
                async with self._host_streams.open(agent_id, KIND, request, window=WINDOW) as stream:
                    attached = await _attached(stream)
                    recording = self._recording(row, await self._recording_of(agent_id))
                    await recording.go_on(wish.columns, wish.rows)
                    await self._store.writer.submit(
                        RETURN_TO, Return(terminal_id=terminal_id, by=caller.actor, lost=attached.lost)
                    )
                    await self._carry(socket, stream, attached, row, place, recording, caller)
            except TerminalOver as error:
                await self._end(row, Ending(reason=error.detail), CENTER)
                raise

    @asynccontextmanager
    async def _place(self, terminal_id: TerminalId) -> AsyncGenerator[Place, None]:
        """Take the place before a terminal; who has it is sent away first. Raises Unavailable."""
        while (older := self._places.get(terminal_id)) is not None:
            older.end(Why(reason=_ELSEWHERE))
            await self._has_left(older)
        place = self._places[terminal_id] = Place()
        try:
            yield place
        finally:
            del self._places[terminal_id]
            place.left.set()

    async def _has_left(self, place: Place) -> None:
        try:
            await self._clock.wait_for(place.left.wait(), _LEFT_WITHIN)
        except TimeoutError:
            raise Unavailable("The terminal's window is not closed in time. Try again.") from None

    async def _carry(
        self,
        socket: Socket,
        stream: OpenStream,
        attached: Attached,
        row: TerminalRow,
        place: Place,
        recording: Recording,
        caller: Caller,
    ) -> None:
        """Carry everything between a person and their terminal; write down how it ended."""
        place.offset = attached.offset
        attachment = Attachment(
            row.id,
            place,
            socket,
            stream,
            recording,
            caller,
            event_streams=self._event_streams,
            clock=self._clock,
            idle=self._idle,
        )
        why = Why(gone=True)
        try:
            await socket.accept()
            opened = Opened(terminal=row.id, offset=attached.offset, account=attached.account)
            await socket.send(say("opened", opened))
            if attached.lost:
                await socket.send(say("lost", {"bytes": attached.lost}))
            why = await attachment.run()
        except OSError as error:
            log.info("a terminal's person was gone at once", terminal=row.id, reason=str(error))
        finally:
            await self._note(row, place, why)
        if not why.is_heard:
            await self._end_on_host(row)

    async def _note(self, row: TerminalRow, place: Place, why: Why) -> None:
        bytes_in = row.bytes_in + place.bytes_in
        try:
            if why.ending is None:
                await self._store.writer.submit(
                    LEAVE_TERMINALS,
                    Leaving(terminal_id=row.id, bytes_in=bytes_in, bytes_out=place.offset),
                )
            else:
                await self._end(row, why.ending, why.by, bytes_in=bytes_in, bytes_out=place.offset)
        except OutriderError as error:
            # The sweep finds that nobody looks at it.
            log.warning("a terminal could not be written down", terminal=row.id, reason=error.detail)

    async def _end_on_host(self, row: TerminalRow) -> None:
        """End a terminal that nobody looks at, or whose stream is stuck."""
        try:
            async with self._host_streams.open(row.agent_id, KIND, EndTerminal(terminal_id=row.id)) as stream:
                await self._clock.wait_for(stream.hear(Over), _ANSWER_WITHIN)
        except (OutriderError, TimeoutError) as error:
            # It can't be come back to any more, so it ends on its host within a minute by itself.
            log.info("a terminal's host was not there for its end", terminal=row.id, reason=str(error))

    # --- lists, ends, recordings

    async def list(
        self,
        caller: Caller,
        *,
        agent_id: str | None,
        user: str | None,
        is_open: bool | None,
        before: str | None,
        limit: int,
    ) -> list[TerminalRow]:
        """List terminals, newest first: everybody's for administrators, else the caller's own."""
        if not caller.role.covers(Role.ADMIN):
            if user not in (None, caller.user_id, caller.username):
                return []
            user = caller.user_id
        async with self._store.read() as conn:
            return await rows.list_terminals(
                conn, agent_id=agent_id, user_id=user, is_open=is_open, before=before, limit=limit
            )

    async def end(self, terminal_id: str, caller: Caller) -> None:
        """End a terminal: one's own, or anybody's for administrators. Raises NotFound or TerminalOver."""
        row = await self._own(TerminalId(terminal_id), caller, or_admin=True)
        if row.ended is not None:
            raise TerminalOver("The terminal is over already.")
        ending = Ending(reason=f"It was ended by {caller.username}.")
        place = self._places.get(row.id)
        if place is not None:
            place.end(Why(hang_up=True, ending=ending, by=caller.actor))
            await self._has_left(place)
            return
        await self._end_on_host(row)
        await self._end(row, ending, caller.actor)

    async def recording(self, terminal_id: str, caller: Caller) -> AsyncGenerator[bytes, None]:
        """Read a recording; that is written down. Raises NotFound when there is none."""
        async with self._store.read() as conn:
            row = await rows.terminal_with(conn, terminal_id)
            whole = await rows.recording_blob_of(conn, terminal_id)
        parts = [] if whole is not None else await parts_of(self._blobs, row.id)
        # It may be put together in this moment: once the whole is there, parts go.
        keys = [whole_key(row.id)] if await self._has(whole_key(row.id)) else parts
        if not keys:
            raise NotFound("The terminal was not recorded.", terminal_id=row.id)
        await self._store.writer.submit(
            NOTE_READINGS, Reading(terminal_id=row.id, username=row.username, by=caller.actor)
        )
        return read(self._blobs, keys)

    async def forget(self, terminal_ids: Sequence[TerminalId]) -> None:
        """Remove the recordings of terminals that are gone with their host; open windows are closed first."""
        places = [self._places[each] for each in terminal_ids if each in self._places]
        for place in places:
            place.end(Why(ending=Ending(reason=_DELETED)))
        try:
            for place in places:
                await self._has_left(place)
        except Unavailable:
            log.warning("a deleted agent's terminal is still shown; its recording goes with the next removal")
        for terminal_id in terminal_ids:
            await self._remove_blobs(terminal_id)

    async def _has(self, key: str) -> bool:
        try:
            await self._blobs.size(key)
        except BlobMissing:
            return False
        return True

    async def _own(self, terminal_id: TerminalId, caller: Caller, *, or_admin: bool = False) -> TerminalRow:
        async with self._store.read() as conn:
            row = await rows.terminal_with(conn, terminal_id)
        if row.user_id != caller.user_id and not (or_admin and caller.role.covers(Role.ADMIN)):
            raise no_such_terminal(terminal_id)
        return row

    async def _own_open(self, agent_id: AgentId, terminal_id: TerminalId, caller: Caller) -> TerminalRow:
        row = await self._own(terminal_id, caller)
        if row.agent_id != agent_id:
            raise no_such_terminal(terminal_id)
        if row.ended is not None:
            raise TerminalOver(f"The terminal is over. {row.reason}".rstrip())
        return row

    async def _end(
        self,
        row: TerminalRow,
        ending: Ending,
        by: Actor,
        *,
        bytes_in: int | None = None,
        bytes_out: int | None = None,
    ) -> None:
        end = End(
            row=row,
            ending=ending,
            by=by,
            bytes_in=row.bytes_in if bytes_in is None else bytes_in,
            bytes_out=row.bytes_out if bytes_out is None else bytes_out,
        )
        await self._store.writer.submit(END_TERMINALS, end)
        if row.recorded:
            await self._merge(row.id)

    async def _merge(self, terminal_id: str) -> None:
        try:
            async with self._merging:
                blob = await merge(self._blobs, terminal_id)
            await self._store.writer.submit(NOTE_MERGED, Merged(terminal_id=terminal_id, blob=blob))
        except OutriderError as error:
            log.warning("a recording could not be put together", terminal=terminal_id, reason=error.detail)

    def _recording(self, row: TerminalRow, mode: RecordingMode) -> Recording:
        """Whether there is one is settled when a terminal is opened; with what is typed, each time."""
        if not row.recorded:
            mode = RecordingMode.OFF
        elif mode is RecordingMode.OFF:
            mode = RecordingMode.OUTPUT
        return Recording(self._blobs, row.id, mode, row.started, self._clock)

    # --- what nobody looks at any more

    async def _note_cut_off(self) -> None:
        """Note who is cut off without a word of it: the center had ended, or could not write it down."""
        async with self._store.read() as conn:
            found = await rows.looked_at(conn)
        for row in found:
            if row.id not in self._places:
                left = Leaving(terminal_id=row.id, bytes_in=row.bytes_in, bytes_out=row.bytes_out)
                await self._store.writer.submit(LEAVE_TERMINALS, left)

    async def sweep(self) -> None:
        """End terminals that nobody came back to; put recordings together where that was cut off."""
        await self._note_cut_off()
        async with self._store.read() as conn:
            left = await rows.left_before(conn, self._clock.time() - GIVEN_UP_AFTER)
            unmerged = await rows.unmerged(conn, _CHUNK)
        for row in left:
            if row.id not in self._places:
                await self._end(row, Ending(reason=_NOBODY), CENTER)
        for terminal_id in unmerged:
            await self._merge(terminal_id)

    async def remove_orphans(self) -> None:
        """Remove recordings whose terminal is gone: what was left when something was cut off."""
        there = {key.split("/")[1] async for key in self._blobs.list(PREFIX)}
        for chunk in _chunks(sorted(there)):
            async with self._store.read() as conn:
                orphans = set(chunk) - await rows.known(conn, chunk)
            for terminal_id in orphans:
                await self._remove_blobs(terminal_id)

    async def _remove_blobs(self, terminal_id: str) -> None:
        for key in [key async for key in self._blobs.list(f"{PREFIX}/{terminal_id}")]:
            await self._blobs.delete(key)


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]


async def _attached(stream: OpenStream) -> Attached:
    try:
        attached = await stream.hear(Attached)
    except LinkFault as fault:
        raise HostFault(fault.detail) from None
    if attached is None:
        raise TerminalOver("The host has closed the terminal at once.")
    return attached
