"""Files written whole or not at all, and read within bounds.

Everything here blocks: from the event loop, call it in a thread.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path


class FileTooLarge(Exception):
    """A file holds more bytes than its reader allows."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(f"{path} is larger than the {limit} bytes allowed")
        self.path = path
        self.limit = limit


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the content of `path` with `data`, durably, with exactly the permissions `mode`.

    A reader, also one after a power cut, sees the old content or the new, never a part. No other user can
    read the bytes on the way. Raises OSError, and then leaves `path` as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of `path`, at most `limit` bytes. Raises FileTooLarge or OSError."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FileTooLarge(path, limit)
    return data


def sync_folder(folder: Path) -> None:
    """Bring to the disk which names are in a folder: without, a rename itself may be lost in a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
