"""The files that people write in this tree, read once."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

# Made by tools, or fetched: nobody writes there.
_NOT_WRITTEN: Final = frozenset({"__pycache__", "build", "dist", "node_modules"})
_HIDDEN_AND_WRITTEN: Final = frozenset({".ci", ".editorconfig", ".gitignore"})
_LARGEST_BYTES: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class File:
    """A text file by its place in the tree."""

    place: PurePosixPath
    text: str

    def lines(self) -> Iterator[tuple[int, str]]:
        """Give each line with its number, from 1."""
        yield from enumerate(self.text.splitlines(), start=1)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that must not be there, and where it is; line 0 is the file as a whole."""

    place: PurePosixPath
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.place}:{self.line}: {self.reason}" if self.line else f"{self.place}: {self.reason}"


def written(root: Path) -> Iterator[File]:
    """Give every text file under `root` that people write, in order of place."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if _counts(name))
        for name in sorted(filter(_counts, names)):
            path = Path(folder) / name
            if path.is_symlink() or path.stat().st_size > _LARGEST_BYTES:
                continue
            try:
                text = path.read_text("utf-8")
            except UnicodeDecodeError:
                continue
            yield File(PurePosixPath(path.relative_to(root)), text)


def _counts(name: str) -> bool:
    return name in _HIDDEN_AND_WRITTEN or not (name.startswith(".") or name in _NOT_WRITTEN)
