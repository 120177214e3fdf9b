"""Files and folders of this machine, as copies read and write them. What is not a coroutine blocks."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from outrider.domain.errors import Invalid
from outrider.domain.file_errors import FileExists
from outrider.engines.files.failures import printable, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from outrider.cli.copy_places import CopyPlace

_BLOCK: Final = 1024 * 1024
_MODE_BITS: Final = 0o777
_MOST_NAME: Final = 100


def is_folder(path: str) -> bool:
    """Tell whether there is a folder here."""
    return Path(path).is_dir()


def absolute(path: str) -> str:
    """Return a path without `..` and links above its last part."""
    given = Path(path)
    if given.name in {"", ".."}:
        return str(given.resolve())
    return str(given.parent.resolve() / given.name)


class LocalSource:
    """A file here, or standard input, to be read once."""

    def __init__(self, place: CopyPlace) -> None:
        """Open it. Raises what the operating system says."""
        self._path = place.path
        self._is_ours = not place.is_standard
        with told(place.path):
            self._file: BinaryIO = sys.stdin.buffer
            if self._is_ours:
                self._file = Path(place.path).open("rb")  # noqa: SIM115 - `close` does
        status = os.fstat(self._file.fileno())
        is_file = stat.S_ISREG(status.st_mode)
        #: Its length; None of a pipe.
        self.size = status.st_size if is_file else None
        #: Its permissions in octal; None of a pipe.
        self.mode = f"{status.st_mode & _MODE_BITS:04o}" if is_file else None

    async def blocks(self) -> AsyncIterator[bytes]:
        """Give its bytes. While a pipe has none, what was given is still on its way."""
        descriptor = self._file.fileno()
        with told(self._path):
            while True:
                if self.size is None:
                    await _readable(descriptor)
                block = os.read(descriptor, _BLOCK)
                if not block:
                    return
                yield block

    def close(self) -> None:
        """Close it."""
        if self._is_ours:
            self._file.close()


async def _readable(descriptor: int) -> None:
    """Return once there is something to be read, or its end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return  # /dev/null and the like: there is nothing to wait for
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


class LocalTarget:
    """A file here, written beside its place and put there when it is whole; gone otherwise."""

    def __init__(self, path: str, *, overwrite: bool) -> None:
        """Begin to write. Raises FileExists, Invalid where no file can be, and what the system says."""
        self._path = path
        self._target = Path(path)
        self._overwrite = overwrite
        if self._target.exists() and not overwrite:
            raise FileExists(f"{printable(path)} is there already.", path=printable(path))
        if self._target.exists() and not self._target.is_file():
            raise Invalid(f"{printable(path)} is no file: it is not replaced.", path=printable(path))
        name = f".{self._target.name[:_MOST_NAME]}.{secrets.token_hex(6)}.part"
        self._temporary = self._target.with_name(name)
        with told(path):
            self._file = self._temporary.open("xb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises what the system says."""
        view = memoryview(data)
        with told(self._path):
            while view:
                view = view[self._file.write(view) :]

    def place(self) -> None:
        """Give it its name. Raises FileExists and what the system says."""
        with told(self._path):
            self._file.close()
            if self._overwrite:
                if self._target.exists():
                    self._temporary.chmod(stat.S_IMODE(self._target.stat().st_mode))
                self._temporary.replace(self._target)
            else:
                self._target.hardlink_to(self._temporary)
