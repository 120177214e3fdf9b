"""Remembers files that are being written, so that a killed agent's are removed by the next one.

Each write has one small file in the agent's own folder, which names the temporary file of the moment. It is
not made durable: after a power cut a temporary file may stay, hidden and named as ours.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from outrider.kit import logs

log = logs.get(__name__)

_PREFIX: Final = ".outrider-"
_SUFFIX: Final = ".part"
_TOKEN_BYTES: Final = 9


class Unfinished:
    """The records of one agent, in `folder`, which nobody else may write to. Everything here blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sweep(self) -> int:
        """Remove what an agent that was killed left behind; returns how many files. Raises nothing."""
        removed = 0
        try:
            records = list(self._folder.iterdir()) if self._folder.exists() else []
        except OSError as error:
            log.warning("unfinished files can't be looked for", folder=str(self._folder), reason=str(error))
            return 0
        for record in records:
            try:
                removed += _remove(record.read_bytes())
                record.unlink()
            except OSError as error:
                log.warning("an unfinished file can't be removed", record=str(record), reason=str(error))
        return removed

    def begin(self) -> "Record":
        """Start remembering one write. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Record(self._folder / secrets.token_hex(_TOKEN_BYTES))


class Record:
    """The record of one write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._number = 0

    def next_name(self, folder: str) -> str:
        """Return the name for the next temporary file, which is going to be in `folder`. Raises OSError."""
        self._number += 1
        name = f"{_PREFIX}{self._path.name}-{self._number}{_SUFFIX}"
        entry = os.fsencode(f"{folder.rstrip('/')}/{name}")
        # The old entry must not end the new one: it is shorter first, then longer.
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, entry, 0)
        return name

    def close(self) -> None:
        """Forget the write: its temporary file is gone, or in its place."""
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


def _remove(entry: bytes) -> int:
    name = entry.rpartition(b"/")[2]
    if not (name.startswith(_PREFIX.encode()) and name.endswith(_SUFFIX.encode())):
        return 0
    try:
        Path(os.fsdecode(entry)).unlink()
    except FileNotFoundError:
        return 0
    return 1
