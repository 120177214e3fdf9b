"""The work of `outrider cp`: each copy whole under its name, checked by its digest, or not there."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import msgspec
from blake3 import blake3

from outrider.cli.copy_files import LocalSource, LocalTarget, absolute, is_folder
from outrider.cli.copy_places import CopyPlace
from outrider.cli.copy_progress import CopyProgress
from outrider.cli.naming import find_agent
from outrider.client import CenterAway, Download
from outrider.domain.errors import HostAway, HostFault, Invalid, NotFound, StreamLost
from outrider.domain.file_errors import FileChanged, NotAFile, NotAFolder
from outrider.domain.files import Packed, Placing
from outrider.engines.files.rooted import Roots
from outrider.kit.backoff import Backoff
from outrider.kit.printable import escape
from outrider.kit.worker import Worker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from outrider.client import AsyncCenter, FileInfo, Uploaded
    from outrider.engines.files.packing import Packing
    from outrider.engines.files.unpacking import Unpacking

_TRIES: Final = 6
"""Tries of a download without a byte in between."""
_AGAIN: Final = Backoff(0.5, 8.0)
_BROKEN_OFF: Final = (CenterAway, HostAway, StreamLost)
"""What may be over in a moment, once a download has begun."""


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """One source that was copied. `blake3` is the digest of the file; a folder has none."""

    source: str
    dest: str
    size: int
    seconds: float
    blake3: str | None = None
    files: int | None = None
    left_out: list[str] = []
    left_out_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How copies are made."""

    recursive: bool = False
    mode: str | None = None
    owner: str | None = None
    overwrite: bool = True
    shows_progress: bool = True


@dataclass(slots=True)
class _Counted:
    """What went by: its digest, and the person who watches."""

    progress: CopyProgress
    digest: blake3 = field(default_factory=blake3)

    def take(self, piece: bytes) -> bytes:
        self.digest.update(piece)
        self.progress.add(len(piece))
        return piece


class Copying:
    """Copies between this machine and hosts of a center."""

    def __init__(
        self, center: AsyncCenter, manner: Manner, *, told: Callable[[Copied], None] | None = None
    ) -> None:
        """`told` hears of each source that is copied."""
        self._center = center
        self._manner = manner
        self._told = told
        self._ids: dict[str, str] = {}

    async def copy(self, sources: list[CopyPlace], dest: CopyPlace) -> list[Copied]:
        """Copy all sources in order. Raises what stops one; those before it are copied then."""
        into_folder = len(sources) > 1 or dest.path.endswith("/")
        folder = await self._is_folder(dest)
        if into_folder and not folder:
            raise NotAFolder(f"{dest} is no folder: several sources, or a / at the end, need one.")
        copied = []
        for source in sources:
            target = CopyPlace(dest.host, f"{dest.path.rstrip('/')}/{source.name}") if folder else dest
            if folder and source.is_standard:
                raise Invalid(f"{dest} is a folder: standard input has no name, so name the file.")
            one = await self._copy_one(source, target)
            copied.append(one)
            if self._told is not None:
                self._told(one)
        return copied

    async def _copy_one(self, source: CopyPlace, dest: CopyPlace) -> Copied:
        if source.host is not None and not source.is_standard:
            info = await self._center.file(await self._id(source.host), source.path)
            if info.kind == "folder":
                self._demand_recursive(source)
                return await self._folder_from_host(source, dest)
            return await self._file_from_host(source, dest, info)
        if dest.host is None:
            raise Invalid(f"Neither {source} nor {dest} is on a host: `host:/path` is one.")
        if not source.is_standard and is_folder(source.path):
            self._demand_recursive(source)
            return await self._folder_to_host(source, dest)
        return await self._file_to_host(source, dest)

    def _demand_recursive(self, source: CopyPlace) -> None:
        if not self._manner.recursive:
            raise NotAFile(f"{source} is a folder: copy it with -r.")

    async def _id(self, host: str) -> str:
        if host not in self._ids:
            self._ids[host] = (await find_agent(self._center, host)).id
        return self._ids[host]

    async def _is_folder(self, place: CopyPlace) -> bool:
        if place.is_standard:
            return False
        if place.host is None:
            return is_folder(place.path)
        found = await self._look(place)
        return found is not None and found.kind == "folder"

    async def _look(self, place: CopyPlace) -> FileInfo | None:
        try:
            return await self._center.file(await self._id(place.host or ""), place.path)
        except NotFound:
            if place.host is not None and place.host not in self._ids:
                raise  # it is the host that nobody knows
            return None

    # --- to a host

    async def _file_to_host(self, source: CopyPlace, dest: CopyPlace) -> Copied:
        with closing(LocalSource(source)) as local:
            counted = self._counted(source, local.size)
            content = (counted.take(block) async for block in local.blocks())
            return await self._upload(source, dest, content, counted, local.size, mode=local.mode)

    async def _upload(
        self,
        source: CopyPlace,
        dest: CopyPlace,
        content: AsyncIterator[bytes],
        counted: _Counted,
        size: int | None,
        *,
        mode: str | None,
    ) -> Copied:
        """Send a file. One that is new takes the `mode` of its source; one that is replaced keeps its own."""
        if self._manner.mode is not None or await self._look(dest) is not None:
            mode = self._manner.mode
        try:
            uploaded = await self._center.upload(
                await self._id(dest.host or ""),
                dest.path,
                content,
                size=size,
                name=source.name,
                mode=mode,
                owner=self._manner.owner,
                overwrite=self._manner.overwrite,
            )
        finally:
            counted.progress.end()
        digest = counted.digest.hexdigest()
        if uploaded.blake3 != digest:
            raise HostFault(
                f"{dest} is not what was sent: its BLAKE3 is {uploaded.blake3}, and was {digest}. Remove it."
            )
        return self._done(source, dest, counted, digest)

    async def _folder_to_host(self, source: CopyPlace, dest: CopyPlace) -> Copied:
        from outrider.engines.files.packing import Packing

        progress = CopyProgress(str(source), None, wanted=self._manner.shows_progress)
        counted = _Counted(progress)
        async with Worker("pack") as worker:
            packing = await worker.hold(partial(Packing, Roots(), absolute(source.path), named=False))
            try:
                uploaded: Uploaded = await self._center.upload(
                    await self._id(dest.host or ""),
                    dest.path,
                    _packed(packing, worker, counted),
                    name=f"{source.name}.tar.gz",
                    mode=self._manner.mode,
                    owner=self._manner.owner,
                    overwrite=self._manner.overwrite,
                    extract=True,
                )
            finally:
                progress.end()
            left = [f"{each.name} {each.reason}" for each in packing.packed.left_out]
            total = packing.packed.left_out_total
        # What was left out here is told in the archive, and so by the host as well.
        return Copied(
            source=str(source),
            dest=str(dest),
            size=uploaded.size,
            seconds=progress.seconds,
            files=uploaded.files,
            left_out=[escape(each) for each in (uploaded.left_out or left)],
            left_out_total=max(uploaded.left_out_total, total),
        )

    # --- from a host

    async def _file_from_host(self, source: CopyPlace, dest: CopyPlace, info: FileInfo) -> Copied:
        counted = self._counted(source, info.size)
        if dest.host is not None:
            content = self._from_host(source, counted)
            async with aclosing(content):
                return await self._upload(source, dest, content, counted, info.size, mode=info.mode or None)
        if dest.is_standard:
            try:
                async with aclosing(self._from_host(source, counted)) as pieces:
                    async for piece in pieces:
                        sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            finally:
                counted.progress.end()
            return self._done(source, dest, counted, counted.digest.hexdigest())
        return await self._file_to_disk(source, dest, counted)

    async def _file_to_disk(self, source: CopyPlace, dest: CopyPlace, counted: _Counted) -> Copied:
        try:
            with LocalTarget(dest.path, overwrite=self._manner.overwrite) as target:
                async with aclosing(self._from_host(source, counted)) as pieces:
                    async for piece in pieces:
                        target.write(piece)
                target.place()
        finally:
            counted.progress.end()
        return self._done(source, dest, counted, counted.digest.hexdigest())

    async def _from_host(self, source: CopyPlace, counted: _Counted) -> AsyncGenerator[bytes, None]:
        """Give a host's file, going on where it breaks off, and check it by its digest at the end."""
        agent = await self._id(source.host or "")
        etag, position, size, failures = "", 0, None, 0
        while size is None or position < size:
            before = position
            try:
                async with aclosing(
                    self._center.download(agent, source.path, start=position, etag=etag)
                ) as steps:
                    async for step in steps:
                        if isinstance(step, Download):
                            if position and (step.start != position or step.etag != etag):
                                raise FileChanged(f"{source} changed while it was copied. Try again.")
                            etag, size = step.etag, step.size
                            counted.progress.begin_at(position, size)
                        else:
                            position += len(step)
                            yield counted.take(step)
                if not size:
                    break
            except _BROKEN_OFF as error:
                failures = 0 if position > before else failures + 1
                if failures >= _TRIES or not etag:
                    raise
                await self._explain(source, agent, etag)
                counted.progress.note(f"{error.fields.get('reason', 'broken off')}; going on soon")
                await _pause(failures)
        await self._verify(source, agent, etag, position, counted)

    async def _explain(self, source: CopyPlace, agent: str, etag: str) -> None:
        """Raise FileChanged when that is why a download broke off."""
        with suppress(*_BROKEN_OFF):
            if (await self._center.file(agent, source.path)).etag != etag:
                raise FileChanged(f"{source} changed while it was copied. Try again.")

    async def _verify(self, source: CopyPlace, agent: str, etag: str, length: int, counted: _Counted) -> None:
        """Compare with what the host says. A file that was appended to meanwhile still begins like ours."""
        counted.progress.note("checking")
        info = await self._look_again(source, agent, length)
        if info.blake3 == counted.digest.hexdigest():
            return
        if info.etag != etag:
            raise FileChanged(f"{source} changed while it was copied. Try again.")
        raise HostFault(f"What came of {source} is not what the host has: its digest differs. Try again.")

    async def _look_again(self, source: CopyPlace, agent: str, length: int) -> FileInfo:
        failures = 0
        while True:
            try:
                return await self._center.file(agent, source.path, digest=True, length=length)
            except _BROKEN_OFF:
                failures += 1
                if failures >= _TRIES:
                    raise
                await _pause(failures)

    async def _folder_from_host(self, source: CopyPlace, dest: CopyPlace) -> Copied:
        if dest.host is not None:
            raise Invalid("A folder goes from host to host by way of this machine: copy it here, then there.")
        progress = CopyProgress(str(source), None, wanted=self._manner.shows_progress)
        counted = _Counted(progress)
        agent = await self._id(source.host or "")
        steps = self._center.download(agent, source.path, archive=True)
        try:
            async with aclosing(steps):
                pieces = (counted.take(step) async for step in steps if isinstance(step, bytes))
                if dest.is_standard:
                    async for piece in pieces:
                        sys.stdout.buffer.write(piece)
                    sys.stdout.buffer.flush()
                    return self._done(source, dest, counted, None)
                packed = await _unpack(pieces, absolute(dest.path), overwrite=self._manner.overwrite)
        finally:
            progress.end()
        return Copied(
            source=str(source),
            dest=str(dest),
            size=packed.size,
            seconds=progress.seconds,
            files=packed.files,
            left_out=[escape(f"{each.name} {each.reason}") for each in packed.left_out],
            left_out_total=packed.left_out_total,
        )

    def _counted(self, source: CopyPlace, size: int | None) -> _Counted:
        return _Counted(CopyProgress(str(source), size, wanted=self._manner.shows_progress))

    def _done(self, source: CopyPlace, dest: CopyPlace, counted: _Counted, digest: str | None) -> Copied:
        progress = counted.progress
        return Copied(
            source=str(source), dest=str(dest), size=progress.done, seconds=progress.seconds, blake3=digest
        )


async def _packed(packing: Packing, worker: Worker, counted: _Counted) -> AsyncIterator[bytes]:
    blocks = packing.blocks()
    while (block := await worker.call(partial(next, blocks, b""))) or counted.progress.done == 0:
        yield counted.take(block)


async def _unpack(pieces: AsyncGenerator[bytes, None], path: str, *, overwrite: bool) -> Packed:
    """Unpack an archive below the folder `path`, while it comes."""
    from outrider.engines.files.unfinished import Unfinished
    from outrider.engines.files.unpacking import Unpacking

    with tempfile.TemporaryDirectory(prefix="outrider-cp-") as records:
        unfinished = Unfinished(Path(records))
        source, sink = os.pipe()
        async with Worker("unpack") as worker, Worker("feed") as feeding:
            feed = cast("BinaryIO", await feeding.hold(partial(os.fdopen, sink, "wb", buffering=0)))
            unpacking: Unpacking = await worker.hold(
                partial(Unpacking, Roots(), unfinished, path, without_first=True)
            )
            unpacked = worker.call(partial(_run, unpacking, source, overwrite=overwrite))
            await _feed(pieces, feed, feeding, unpacked)
            await feeding.call(feed.close)
            return await unpacked


async def _feed(
    pieces: AsyncGenerator[bytes, None], feed: BinaryIO, feeding: Worker, unpacked: asyncio.Future[Packed]
) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            try:
                await feeding.call(partial(_write_all, feed, piece))
            except BrokenPipeError:
                await unpacked  # it has failed, and says why
                return


def _run(unpacking: Unpacking, source: int, *, overwrite: bool) -> Packed:
    with os.fdopen(source, "rb") as file:
        return unpacking.run(file, Placing(overwrite=overwrite))


def _write_all(file: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


async def _pause(attempt: int) -> None:
    import asyncio
    import random

    await asyncio.sleep(_AGAIN.delay(attempt, random.Random()))  # noqa: S311 - spreads retries, guards nothing
