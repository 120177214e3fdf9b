"""The stream of this host's files: looked at, sent, packed, taken in."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Final

import msgspec
from blake3 import blake3

from outrider.agent.lane import Lane, LaneDoor
from outrider.agent.policy import PolicyFile
from outrider.domain.errors import Invalid, LinkFault, OutriderError, StreamLost
from outrider.domain.files import FileKind, Packed
from outrider.engines.files.facts import digest_of, list_folder, look_at
from outrider.engines.files.filing import Deleting, Making, Moving
from outrider.engines.files.packing import Packing
from outrider.engines.files.reading import BLOCK, FileReader
from outrider.engines.files.rooted import Roots
from outrider.engines.files.unfinished import Unfinished
from outrider.engines.files.unpacking import Unpacking
from outrider.engines.files.writing import FileUpload
from outrider.kit import logs
from outrider.kit.tasks import Tasks
from outrider.kit.worker import Worker
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
    Listing,
    LookAt,
    MakeFolder,
    Move,
    Pack,
    Range,
    Ready,
    Store,
    Unpack,
)
from outrider.protocol.lanes import LaneOffer
from outrider.protocol.open_stream import OpenStream

log = logs.get(__name__)

_LISTING_BYTES: Final = 192 * 1024
_ENTRY_BYTES: Final = 200
_LANE_BLOCK: Final = 512 * 1024
_PIPE_BYTES: Final = 1024 * 1024


class FileStream:
    """Serves streams of kind `files`. Each does its reading and writing in a thread of its own."""

    ability = KIND
    window = WINDOW

    def __init__(self, policy: PolicyFile, unfinished: Unfinished, lanes: LaneDoor) -> None:
        """Take the host's own rules, where writes under way are remembered, and what dials lanes."""
        self._policy = policy
        self._unfinished = unfinished
        self._lanes = lanes

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Do what is asked. Raises what the engine raises, `LinkFault` for an unfit request."""
        try:
            wanted: FileRequest = msgspec.msgpack.decode(request, type=FileRequest)
        except msgspec.DecodeError as error:
            raise LinkFault(f"A request for files does not fit: {error}.") from None
        async with Worker("files") as worker:
            roots = await worker.call(self._roots)
            match wanted:
                case LookAt():
                    await _look_at(wanted, roots, worker, stream)
                case ListFolder():
                    await _list(wanted, roots, worker, stream)
                case Fetch():
                    await self._fetch(wanted, roots, worker, stream)
                case Pack():
                    await _pack(wanted, roots, worker, stream)
                case Store():
                    await self._store(wanted, roots, worker, stream)
                case Unpack():
                    await self._unpack(wanted, roots, worker, stream)
                case MakeFolder() | Move() | Delete():
                    await _file_away(wanted, roots, worker, stream)

    def _roots(self) -> Roots:
        return self._policy.current().file_rules()

    async def _store(self, wanted: Store, roots: Roots, worker: Worker, stream: OpenStream) -> None:
        dest, name = os.fsdecode(wanted.dest), os.fsdecode(wanted.name)
        upload = await worker.hold(partial(FileUpload, roots, self._unfinished, dest, name))
        lane = await self._lane(wanted.lane, worker)
        await stream.say(Ready(path=os.fsencode(upload.path), by_lane=lane is not None))
        if lane is not None:
            commit = await _take_by_lane(lane, upload, worker, stream)
            await stream.say(await worker.call(partial(upload.finish, commit.placing)))
            return
        taken = _Taken(stream)
        writing = None
        while pieces := await taken.next_block():
            # One block is written while the next one comes.
            if writing is not None:
                await writing
            writing = worker.call(partial(upload.write, pieces))
        if writing is not None:
            await writing
        commit = taken.commit()
        await stream.say(await worker.call(partial(upload.finish, commit.placing)))

    async def _lane(self, offer: LaneOffer | None, worker: Worker) -> Lane | None:
        """Dial the lane that was offered; None without one, or where none gets through."""
        if offer is None:
            return None
        try:
            return await worker.hold(partial(self._lanes.dial, offer))
        except OSError as error:
            log.warning("a lane can't be dialled: the stream carries the file", reason=str(error))
            return None

    async def _fetch(self, wanted: Fetch, roots: Roots, worker: Worker, stream: OpenStream) -> None:
        reader = await worker.hold(partial(FileReader, roots, os.fsdecode(wanted.path)))
        await stream.say(reader.opened)
        part = await stream.hear(Range)
        if part is None:
            return
        reader.restrict(part.start, part.length)
        lane = await self._lane(part.lane, worker)
        if lane is None:
            await _send_pieces(reader, worker, stream)
            return
        try:
            digest = await worker.call(partial(_send_all, reader, lane))
            await stream.say(Fetched(digest=digest))
            # Closed by the center: closing here could throw away what has not arrived there.
            await worker.call(lane.drain)
        except OSError as error:
            raise StreamLost(f"The lane to the center broke: {error}.") from error
        finally:
            lane.abort()

    async def _unpack(self, wanted: Unpack, roots: Roots, worker: Worker, stream: OpenStream) -> None:
        dest = os.fsdecode(wanted.dest)
        unpacking = await worker.hold(partial(Unpacking, roots, self._unfinished, dest))
        await stream.say(Ready(path=wanted.dest))
        taken = _Taken(stream)
        source, sink = _pipe()
        # Left first: the end of what comes lets the thread that unpacks come to its own end.
        async with Worker("files feed") as feeding:
            _ = feeding.hold(lambda: sink)
            unpacked = worker.call(partial(_unpack_all, unpacking, source, wanted))
            while pieces := await taken.next_block():
                try:
                    await feeding.call(partial(_write_all, sink, pieces))
                except BrokenPipeError:
                    break  # it has failed, and says why
            else:
                _ = taken.commit()
        await stream.say(await unpacked)


class _Taken:
    """What the center sends of a file, gathered into blocks worth a call."""

    def __init__(self, stream: OpenStream) -> None:
        self._stream = stream
        self._size = 0
        self._commit: Commit | None = None

    async def next_block(self) -> list[bytes]:
        """Give the next pieces; none when all has come. Raises LinkFault and what the stream raises."""
        pieces: list[bytes] = []
        size = 0
        while self._commit is None and size < BLOCK:
            content = await self._stream.receive()
            if content is None:
                raise Invalid("The center broke the upload off.")
            if isinstance(content, msgspec.Raw):
                self._commit = _decoded(content)
            else:
                pieces.append(content)
                size += len(content)
        self._size += size
        return pieces

    def commit(self) -> Commit:
        """Return the center's word that this was all. Raises LinkFault when it was not."""
        if self._commit is None or self._commit.size != self._size:
            raise LinkFault("The center sent another number of bytes than it says.")
        return self._commit


def _decoded(content: msgspec.Raw) -> Commit:
    try:
        return msgspec.msgpack.decode(content, type=Commit)
    except msgspec.DecodeError as error:
        raise LinkFault(f"A message on a stream is broken: {error}.") from None


async def _look_at(wanted: LookAt, roots: Roots, worker: Worker, stream: OpenStream) -> None:
    path = os.fsdecode(wanted.path)
    facts = await worker.call(partial(look_at, roots, path))
    if wanted.digest and facts.kind is FileKind.FILE:
        digest = await worker.call(partial(digest_of, roots, path, wanted.length))
        facts = msgspec.structs.replace(facts, digest=digest)
    await stream.say(facts)


async def _list(wanted: ListFolder, roots: Roots, worker: Worker, stream: OpenStream) -> None:
    path, after = os.fsdecode(wanted.path), os.fsdecode(wanted.after)
    entries, more = await worker.call(partial(list_folder, roots, path, after=after, limit=wanted.limit))
    # Long names and links make fewer entries a message.
    kept, size = 0, 0
    while kept < len(entries) and size < _LISTING_BYTES:
        size += len(entries[kept].name) + len(entries[kept].target or b"") + _ENTRY_BYTES
        kept += 1
    await stream.say(Listing(entries=tuple(entries[:kept]), more=more or kept < len(entries)))


async def _file_away(wanted: Deed, roots: Roots, worker: Worker, stream: OpenStream) -> None:
    """Make, move or delete, once the center has written down who wants it."""
    deed = await worker.hold(partial(_deed, wanted, roots))
    await stream.say(Ready(path=os.fsencode(deed.path)))
    if await stream.hear(Go) is None:
        return
    try:
        await stream.say(await worker.call(deed.run))
    finally:
        # Nobody waits for it any more when this is cancelled: the thread must not go on by itself.
        if isinstance(deed, Deleting):
            deed.stop()


def _deed(wanted: Deed, roots: Roots) -> Making | Moving | Deleting:
    path = os.fsdecode(wanted.path)
    match wanted:
        case MakeFolder():
            return Making(roots, path)
        case Move():
            return Moving(roots, path, os.fsdecode(wanted.to), replace=wanted.replace)
        case Delete():
            return Deleting(roots, path, recursive=wanted.recursive)


async def _send_pieces(reader: FileReader, worker: Worker, stream: OpenStream) -> None:
    digest = blake3()

    def read(buffer: memoryview) -> int:
        size = reader.read_into(buffer)
        digest.update(buffer[:size])
        return size

    buffers = (memoryview(bytearray(BLOCK)), memoryview(bytearray(BLOCK)))
    turn = 0
    reading = worker.call(partial(read, buffers[turn]))
    while size := await reading:
        block = buffers[turn][:size]
        turn = 1 - turn
        # One block is read while the one before it is sent.
        reading = worker.call(partial(read, buffers[turn]))
        await stream.send(block)
    await stream.say(Fetched(digest=digest.hexdigest()))


async def _pack(wanted: Pack, roots: Roots, worker: Worker, stream: OpenStream) -> None:
    packing = await worker.hold(partial(Packing, roots, os.fsdecode(wanted.path)))
    blocks = await worker.hold(packing.blocks)
    packed = worker.call(partial(_gather, blocks))
    while block := await packed:
        packed = worker.call(partial(_gather, blocks))
        await stream.send(block)
    await stream.say(packing.packed)


def _gather(blocks: Iterator[bytes]) -> bytes:
    """Return enough of an archive to be worth sending; nothing at its end."""
    pieces: list[bytes] = []
    size = 0
    for piece in blocks:
        pieces.append(piece)
        size += len(piece)
        if size >= BLOCK:
            break
    return b"".join(pieces)


def _send_all(reader: FileReader, lane: Lane) -> str:
    """Send what is to be read; returns its digest. Raises OSError for the lane, or what the reader raises."""
    digest = blake3()
    buffer = memoryview(bytearray(_LANE_BLOCK))
    while size := reader.read_into(buffer):
        digest.update(buffer[:size])
        lane.send(buffer[:size])
    lane.finish()
    return digest.hexdigest()


async def _take_by_lane(lane: Lane, upload: FileUpload, worker: Worker, stream: OpenStream) -> Commit:
    """Write what comes on the lane, and return the center's word that this was all."""
    taking = worker.call(partial(_write_lane, lane, upload))
    try:
        async with Tasks("upload") as tasks:
            hearing = tasks.start("commit", _word_of(stream))
            # A disk that is full is told at once, not when all has been sent.
            await asyncio.wait((taking, hearing), return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                taken = await taking
            commit = await hearing
            if isinstance(commit, OutriderError):
                raise commit
            if commit is None:
                raise Invalid("The center broke the upload off.")
            taken = await taking
    except OSError as error:
        raise StreamLost(f"The lane from the center broke: {error}.") from error
    finally:
        lane.abort()
    if taken != commit.size:
        raise LinkFault("The center sent another number of bytes than it says.")
    return commit


async def _word_of(stream: OpenStream) -> Commit | OutriderError | None:
    """Hear the center's word, or what broke the stream: a link that is lost is no failure of a task."""
    try:
        return await stream.hear(Commit)
    except OutriderError as error:
        return error


def _write_lane(lane: Lane, upload: FileUpload) -> int:
    taken = 0
    while (pieces := lane.receive()) is not None:
        upload.write(pieces)
        taken += sum(map(len, pieces))
    return taken


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    source, sink = os.pipe()
    fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb", buffering=0)


def _write_all(sink: BinaryIO, pieces: list[bytes]) -> None:
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[sink.write(view) :]


def _unpack_all(unpacking: Unpacking, source: BinaryIO, wanted: Unpack) -> Packed:
    with source:
        return unpacking.run(source, wanted.placing)
