"""The files' abilities. Every byte passes through here on a stream of the host, and none of them stays."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import msgspec

from outrider.center.files.form import FileBegins, FileEnds, UploadForm
from outrider.center.files.names import encoded, shown
from outrider.center.files.spool import Spool, SpooledFile
from outrider.center.files.views import DeletedView, FiledView, FileView, Listing, Uploaded, view_of
from outrider.center.files.writes import NOTE_FILE_WORK, FileWork
from outrider.center.http.lane import Lane
from outrider.center.link.host_streams import HostStreams
from outrider.center.link.lanes import ExpectedLane, Lanes
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.errors import HostFault, Invalid, LinkFault, OutriderError, StreamLost
from outrider.domain.file_errors import NotAFile
from outrider.domain.files import Deleted, Filed, FileFacts, Opened, Packed, Placing, Written
from outrider.domain.ids import AgentId
from outrider.kit.right_of_way import RightOfWay
from outrider.kit.tasks import Tasks
from outrider.kit.worker import Worker
from outrider.protocol import file_stream
from outrider.protocol.file_stream import (
    KIND,
    WINDOW,
    Commit,
    Deed,
    Delete,
    Fetch,
    Fetched,
    FileRequest,
    Go,
    ListFolder,
    LookAt,
    MakeFolder,
    Move,
    Pack,
    Range,
    Ready,
    Unpack,
)
from outrider.protocol.file_stream import (
    Store as StoreFile,
)
from outrider.protocol.lanes import WORTH
from outrider.protocol.open_stream import OpenStream

T = TypeVar("T")

MOST_PATH: Final = 4095
MOST_NAME: Final = 1024
_SAID_WITHIN: Final = 20.0
"""Seconds: a lane may break on one side only, and the other wait there for ever."""

_UNKNOWN: Final = "request for files does not fit"
"""What an agent says of a request that it does not know."""


class HostFile:
    """A file of a host that is open to be downloaded."""

    def __init__(
        self, stream: OpenStream, opened: Opened, agent_id: AgentId, lanes: Lanes, way: RightOfWay
    ) -> None:
        self._way = way
        self._stream = stream
        self._agent_id = agent_id
        self._lanes = lanes
        self.opened = opened
        self.digest = ""

    async def pieces(self, start: int, length: int) -> AsyncGenerator[bytes | memoryview, None]:
        """Give these bytes of it, all of them or an error: FileChanged, StreamLost and the like."""
        if length < WORTH:
            await self._stream.say(Range(start=start, length=length))
            async for piece in self._by_stream(length):
                yield piece
            return
        with self._lanes.expected(self._agent_id) as expected:
            await self._stream.say(Range(start=start, length=length, lane=expected.offer))
            async with Tasks("download") as tasks:
                # The host says why it fails on the stream, at any moment.
                hearing = tasks.start("hear", _outcome(self._stream.receive()))
                await asyncio.wait((expected.came, hearing), return_when=asyncio.FIRST_COMPLETED)
                if not expected.came.done():
                    first = _given(hearing.result())
                    if not isinstance(first, bytes):
                        raise LinkFault("The host did not send the file.")
                    yield first
                    async for piece in self._by_stream(length - len(first)):
                        yield piece
                    return
                lane = expected.came.result()
                left = length
                while left and (part := await lane.receive()) is not None:
                    if len(part) > left:
                        raise LinkFault("The host sent more bytes than were asked for.")
                    left -= len(part)
                    await self._way.give()
                    yield part
                last = _given(await _soon(hearing))
                if left or not isinstance(last, msgspec.Raw):
                    raise LinkFault("The host sent another number of bytes than was asked for.")
                self.digest = msgspec.msgpack.decode(last, type=Fetched).digest

    async def _by_stream(self, length: int) -> AsyncGenerator[bytes, None]:
        left = length
        while left:
            piece = await self._stream.read()
            if piece is None or len(piece) > left:
                raise LinkFault("The host sent another number of bytes than was asked for.")
            left -= len(piece)
            yield piece
        fetched = await self._stream.hear(Fetched)
        self.digest = fetched.digest if fetched else ""

    def leave(self) -> None:
        """Stop: whoever wanted the file has gone."""
        self._stream.leave()


class HostArchive:
    """A folder of a host that is being packed."""

    def __init__(self, stream: OpenStream) -> None:
        self._stream = stream
        self.packed: Packed | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give the archive, all of it or an error."""
        while not isinstance(content := await self._stream.receive(), msgspec.Raw):
            if content is None:
                raise LinkFault("The host stopped in the middle of an archive.")
            yield content
        self.packed = msgspec.msgpack.decode(content, type=Packed)

    def leave(self) -> None:
        """Stop: whoever wanted it has gone."""
        self._stream.leave()


class FileService:
    """Looks at, brings and takes hosts' files."""

    def __init__(self, store: Store, host_streams: HostStreams, lanes: Lanes, spool: Spool) -> None:
        """Take the parts."""
        self._store = store
        self._host_streams = host_streams
        self._lanes = lanes
        self._spool = spool

    async def look_at(self, agent_id: AgentId, path: bytes, *, digest: bool, length: int | None) -> FileView:
        """Describe what `path` names. Raises what the host says, and what `HostStreams.open` raises."""
        wanted = LookAt(path=_checked(path), digest=digest, length=length)
        async with self._open(agent_id, wanted) as stream:
            return view_of(await _heard(stream, FileFacts))

    async def list_folder(self, agent_id: AgentId, path: bytes, *, after: bytes, limit: int) -> Listing:
        """Describe a folder's entries. Raises as `look_at` does."""
        wanted = ListFolder(path=_checked(path), after=after, limit=limit)
        async with self._open(agent_id, wanted) as stream:
            found = await _heard(stream, file_stream.Listing)
        last = found.entries[-1].name if found.more and found.entries else None
        return Listing(
            path=shown(path),
            entries=[view_of(each) for each in found.entries],
            next=None if last is None else encoded(last) or shown(last),
        )

    @asynccontextmanager
    async def fetch(self, agent_id: AgentId, path: bytes) -> AsyncIterator[HostFile]:
        """Open a file to be downloaded in the block. Raises as `look_at` does, NotAFile for a folder."""
        async with self._open(agent_id, Fetch(path=_checked(path))) as stream:
            try:
                opened = await _heard(stream, Opened)
            except NotAFile as error:
                advice = "Ask for it with archive=tar.gz, or for files/list."
                raise NotAFile(f"{error.detail} {advice}", **error.fields) from error
            yield HostFile(stream, opened, agent_id, self._lanes, self._store.writer.way)

    @asynccontextmanager
    async def pack(self, agent_id: AgentId, path: bytes) -> AsyncIterator[HostArchive]:
        """Let a folder be packed in the block. Raises as `look_at` does."""
        async with self._open(agent_id, Pack(path=_checked(path))) as stream:
            yield HostArchive(stream)

    async def note(self, agent_id: AgentId, action: str, by: Actor, **data: Any) -> None:
        """Write a step of a download or upload into the audit log."""
        await self._store.writer.submit(
            NOTE_FILE_WORK, FileWork(agent_id=agent_id, action=action, data=data, by=by)
        )

    async def upload(
        self,
        agent_id: AgentId,
        content_type: str,
        length: int | None,
        body: AsyncIterator[bytes],
        by: Actor,
    ) -> Uploaded:
        """Take in a form and put its file on a host; when this returns it is in its place, durably.

        `length` is that of the form, where its sender says it. Raises Invalid for a broken form, NoSpace, and
        what the host says; then nothing is left there.
        """
        form = UploadForm(content_type, length)
        async with AsyncExitStack() as stack:
            upload = _Upload(self, agent_id, form, by, stack)
            async for data in body:
                await self._store.writer.way.give()
                for event in form.feed(data):
                    await upload.take(event)
            form.finish()
            return await upload.finish()

    async def begin(
        self, agent_id: AgentId, form: UploadForm, name: bytes, by: Actor, stack: AsyncExitStack
    ) -> "_ToHost":
        """Open the way of an upload to its host."""
        dest = _checked(form.dest or b"")
        placing = form.placing()
        expected: ExpectedLane | None = None
        wanted: FileRequest
        if form.extracts:
            wanted = Unpack(dest=dest, placing=placing)
        else:
            if form.size is None or form.size >= WORTH:
                expected = stack.enter_context(self._lanes.expected(agent_id))
            wanted = StoreFile(
                dest=dest, name=name[:MOST_NAME], lane=None if expected is None else expected.offer
            )
        stream = await stack.enter_async_context(self._open(agent_id, wanted))
        ready = await _heard(stream, Ready)
        await self.note(agent_id, "file.upload", by, path=shown(ready.path), **_told(placing))
        # A host says `by_lane` after it has dialled: it is here.
        lane = await expected.came if expected is not None and ready.by_lane else None
        return _ToHost(stream, lane, ready.path, fixed=placing if form.extracts else None)

    async def make_folder(self, agent_id: AgentId, path: bytes, by: Actor) -> FiledView:
        """Make a folder in one that is there. Raises as `look_at` does, FileExists."""
        wanted = MakeFolder(path=_checked(path))
        async with self._deed(agent_id, wanted, ("file.make_folder", "file.folder_made"), by) as deed:
            return _filed(await deed.done(Filed))

    async def move(self, agent_id: AgentId, path: bytes, to: bytes, by: Actor, *, replace: bool) -> FiledView:
        """Give something another name. Raises as `look_at` does, FileExists and what the host says."""
        wanted = Move(path=_checked(path), to=_checked(to, "to"), replace=replace)
        said = {"to": shown(to), "replace": replace}
        async with self._deed(agent_id, wanted, ("file.move", "file.moved"), by, **said) as deed:
            return _filed(await deed.done(Filed))

    async def delete(
        self,
        agent_id: AgentId,
        path: bytes,
        by: Actor,
        *,
        recursive: bool,
        gone: Callable[[], Awaitable[None]],
    ) -> DeletedView:
        """Delete something; it stops when `gone`, the caller's leaving, comes first.

        Raises as `look_at` does, FolderNotEmpty and what the host says; `deleted` of its fields counts what
        was deleted before.
        """
        wanted = Delete(path=_checked(path), recursive=recursive)
        said = {"recursive": recursive}
        async with (
            self._deed(agent_id, wanted, ("file.delete", "file.deleted"), by, **said) as deed,
            Tasks("delete") as tasks,
        ):
            _ = tasks.start("caller gone", deed.leave_after(gone()))
            deleted = await deed.done(Deleted)
        return DeletedView(path=shown(deleted.path), deleted=deleted.deleted, encoded=encoded(deleted.path))

    @asynccontextmanager
    async def _deed(
        self, agent_id: AgentId, wanted: Deed, actions: tuple[str, str], by: Actor, **said: Any
    ) -> AsyncIterator["_Deed"]:
        """Let the host do something once it is written down, and write down how it ended."""
        async with self._open(agent_id, wanted) as stream:
            try:
                ready = await _heard(stream, Ready)
            except HostFault as fault:
                if _UNKNOWN not in fault.detail:
                    raise
                raise HostFault(
                    "The agent of this host is older than the center and can't do this: update it."
                ) from fault
            noted = {"path": shown(ready.path), **said}
            await self.note(agent_id, actions[0], by, **noted)
            deed = _Deed(stream)
            try:
                await stream.say(Go())
                yield deed
            except OutriderError as error:
                count = error.fields.get("deleted")
                counted = {"deleted": count} if isinstance(count, int) else {}
                await self.note(agent_id, actions[1], by, **noted, **counted, error=error.code)
                raise
            await self.note(agent_id, actions[1], by, **noted, **deed.outcome)

    def spooled(self, worker: Worker) -> SpooledFile:
        """Start to hold an upload here."""
        return self._spool.begin(worker)

    @asynccontextmanager
    async def _open(self, agent_id: AgentId, wanted: FileRequest) -> AsyncIterator[OpenStream]:
        async with self._host_streams.open(agent_id, KIND, wanted, window=WINDOW) as stream:
            yield stream


class _Deed:
    """Something that a host is doing."""

    def __init__(self, stream: OpenStream) -> None:
        self._stream = stream
        self.outcome: dict[str, Any] = {}

    async def done(self, kind: type[T]) -> T:
        """Wait until it is done. Raises what the host says."""
        answer = await _heard(self._stream, kind)
        if isinstance(answer, Deleted):
            self.outcome = {"deleted": answer.deleted}
        return answer

    async def leave_after(self, gone: Awaitable[None]) -> None:
        """Have the host stop when the caller has gone."""
        await gone
        self._stream.leave()


class _Target(Protocol):
    async def write(self, data: bytes) -> None: ...


class _ToHost:
    """An upload on its way to the host."""

    def __init__(self, stream: OpenStream, lane: Lane | None, path: bytes, *, fixed: Placing | None) -> None:
        self._stream = stream
        self._lane = lane
        self._fixed = fixed
        self._size = 0
        self.path = path

    async def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._lane is None:
            await self._stream.send(data)
        elif not await self._lane.send(data):
            # The host says why on the stream.
            await _soon(_heard(self._stream, Written))
            raise LinkFault("The host stopped taking the file.")

    async def finish(self, placing: Placing) -> Uploaded:
        """Have the file put in its place."""
        if self._lane is not None:
            await self._lane.finish()
        await self._stream.say(Commit(size=self._size, placing=placing))
        if self._fixed is None:
            written = await _heard(self._stream, Written)
            return Uploaded(
                path=shown(written.path),
                size=written.size,
                blake3=written.digest,
                encoded=encoded(written.path),
            )
        if placing != self._fixed:
            raise Invalid("With `extract`, send all other parts before `file`.", field="extract")
        packed = await _heard(self._stream, Packed)
        return Uploaded(
            path=shown(packed.path),
            size=packed.size,
            blake3=packed.digest,
            encoded=encoded(packed.path),
            files=packed.files,
            left_out=[f"{each.name} {each.reason}" for each in packed.left_out],
            left_out_total=packed.left_out_total,
        )


class _Upload:
    """One form being taken in: straight to the host when it says where to, else by way of the spool."""

    def __init__(
        self, files: FileService, agent_id: AgentId, form: UploadForm, by: Actor, stack: AsyncExitStack
    ) -> None:
        self._files = files
        self._agent_id = agent_id
        self._form = form
        self._by = by
        self._stack = stack
        self._name = b""
        self._target: _Target | None = None
        self._to_host: _ToHost | None = None
        self._held: SpooledFile | None = None

    async def take(self, event: FileBegins | bytes | FileEnds) -> None:
        """Take the next part of the form."""
        if isinstance(event, bytes):
            if self._target is not None:
                await self._target.write(event)
        elif isinstance(event, FileBegins):
            self._name = event.name
            if self._form.dest is None:
                worker = await self._stack.enter_async_context(Worker("upload spool"))
                self._target = self._held = self._files.spooled(worker)
                self._stack.callback(self._held.close)
            else:
                self._target = await self._begin()

    async def finish(self) -> Uploaded:
        """Have the file put in its place once the form is whole."""
        placing = self._form.placing()
        to_host = self._to_host
        if to_host is None:
            to_host = await self._begin()
            while self._held is not None and (block := await self._held.read()):
                await to_host.write(block)
        try:
            uploaded = await to_host.finish(placing)
        except OutriderError as error:
            await self._note(path=shown(to_host.path), error=error.code)
            raise
        await self._note(path=uploaded.path, size=uploaded.size, blake3=uploaded.blake3)
        return uploaded

    async def _begin(self) -> _ToHost:
        self._to_host = await self._files.begin(self._agent_id, self._form, self._name, self._by, self._stack)
        return self._to_host

    async def _note(self, **data: Any) -> None:
        await self._files.note(self._agent_id, "file.uploaded", self._by, **data)


async def _heard(stream: OpenStream, kind: type[T]) -> T:
    answer = await stream.hear(kind)
    if answer is None:
        raise LinkFault("The host ended without an answer.")
    return answer


async def _outcome(said: Awaitable[T]) -> T | OutriderError:
    """Return what is said, or what broke the stream: for a task that hears along, that is no failure."""
    try:
        return await said
    except OutriderError as error:
        return error


def _given(outcome: T | OutriderError) -> T:
    if isinstance(outcome, OutriderError):
        raise outcome
    return outcome


async def _soon(said: Awaitable[T]) -> T:
    """Return what the host says of a lane that has ended. Raises StreamLost when it says nothing of it."""
    try:
        async with asyncio.timeout(_SAID_WITHIN):
            return await said
    except TimeoutError as error:
        raise StreamLost("The connection that carried the file broke.") from error


def _told(placing: Placing) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(placing).items() if value not in {None, ""}}


def _filed(filed: Filed) -> FiledView:
    return FiledView(path=shown(filed.path), encoded=encoded(filed.path))


def _checked(path: bytes, field: str = "path") -> bytes:
    if not path or b"\0" in path or len(path) > MOST_PATH:
        raise Invalid(f"Give `{field}`: absolute, of 1 to {MOST_PATH} bytes, without NUL.", field=field)
    return path
