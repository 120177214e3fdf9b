"""What this program remembers about a center between two runs: only what it could as well ask again.

A file of its own for each saved center, in the cache folder (XDG), readable by its owner alone. What can't be
read is forgotten, what can't be written is not remembered: nothing ever fails because of it.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.kit.files import FileTooLarge, read_bounded, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DAY: Final = 86_400.0
_FRESH: Final = 60.0
"""Seconds for which names of agents are taken from here without asking."""
_MAX_FILE: Final = 16 * 1024 * 1024


class _Facts(msgspec.Struct, kw_only=True):
    """The file's content; times are unix seconds."""

    version_of_ours: str = ""
    version_seen: float = 0.0
    names: list[str] = []
    names_seen: float = 0.0


class Memory:
    """What is remembered about one saved center."""

    def __init__(self, path: Path) -> None:
        """Remember in this file."""
        self._path = path
        try:
            self._facts = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=_Facts)
        except (OSError, FileTooLarge, msgspec.DecodeError):
            self._facts = _Facts()

    @classmethod
    def of(cls, center: str, environ: Mapping[str, str]) -> Memory:
        """What is remembered about the center saved under this name."""
        configured = environ.get("XDG_CACHE_HOME", "")
        base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
        # A name may hold what a file's can't; its digest never does.
        digest = hashlib.blake2b(center.encode(), digest_size=8).hexdigest()
        return cls(base / "outrider" / f"center-{digest}.json")

    def knows_version(self, ours: str) -> bool:
        """Tell whether this version of ours has looked at the center's within a day."""
        return self._facts.version_of_ours == ours and _is_within(self._facts.version_seen, _DAY)

    def note_version(self, ours: str) -> None:
        """Remember that this version of ours has looked at the center's."""
        self._facts.version_of_ours, self._facts.version_seen = ours, time.time()
        self._write()

    @property
    def names(self) -> list[str]:
        """The names of agents as they were last seen."""
        return self._facts.names

    @property
    def names_are_fresh(self) -> bool:
        """Whether they were seen so lately that nobody has to ask."""
        return _is_within(self._facts.names_seen, _FRESH)

    def note_names(self, names: Sequence[str]) -> None:
        """Remember the names of agents."""
        self._facts.names, self._facts.names_seen = list(names), time.time()
        self._write()

    def forget(self) -> None:
        """Remove what is remembered."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._path, msgspec.json.encode(self._facts), mode=0o600)
        except OSError:
            # Asked again next time; a read-only home is no reason to fail.
            return


def _is_within(moment: float, seconds: float) -> bool:
    return 0 <= time.time() - moment < seconds
