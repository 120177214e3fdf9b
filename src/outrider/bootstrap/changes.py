"""What one run changes on a host, so that all of it can be undone when a later step fails."""

from __future__ import annotations

import shutil
import stat
from typing import TYPE_CHECKING

from outrider.bootstrap import durable
from outrider.bootstrap.steps import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Changes:
    """The changes of one run, newest last. A thing that is already as it shall be is no change."""

    def __init__(self) -> None:
        self.any = False
        """Whether anything was changed."""
        self.folders: list[Path] = []
        """The folders that were made, outermost first."""
        self._undo: list[tuple[str, Callable[[], None]]] = []

    def undo_with(self, what: str, undo: Callable[[], None]) -> None:
        """Note a change that was made or is about to be.

        `undo` takes it back, or raises OSError or StepFailed.
        """
        self.any = True
        self._undo.append((what, undo))

    def clean_up_with(self, what: str, undo: Callable[[], None]) -> None:
        """Note what is to be taken back of what may come to be; by itself that is no change."""
        self._undo.append((what, undo))

    def folder(self, path: Path, mode: int) -> None:
        """Make a folder, and those above it, where they are missing. Raises OSError."""
        if path.is_dir():
            return
        self.folder(path.parent, 0o755)
        self.undo_with(f"make {path}", lambda: _remove_folder(path))
        path.mkdir(mode=mode)
        self.folders.append(path)
        path.chmod(mode)

    def holds(self, path: Path, data: bytes, mode: int) -> bool:
        """Tell whether a file is as it shall be. Raises OSError."""
        return _look(path) == (data, mode)

    def file(self, path: Path, data: bytes, mode: int) -> bool:
        """Let a file hold these bytes; tells whether it did not before. Raises OSError."""
        before = _look(path)
        if before == (data, mode):
            return False
        if before is None:
            self.undo_with(f"write {path}", lambda: path.unlink(missing_ok=True))
        else:
            old, old_mode = before
            self.undo_with(f"write {path}", lambda: durable.replace_file(path, old, mode=old_mode))
        durable.replace_file(path, data, mode=mode)
        return True

    def without(self, path: Path) -> bool:
        """Let there be no such file; tells whether there was one. Raises OSError."""
        before = _look(path)
        if before is None:
            return False
        data, mode = before
        self.undo_with(f"remove {path}", lambda: durable.replace_file(path, data, mode=mode))
        path.unlink()
        return True

    def link(self, path: Path, target: str) -> bool:
        """Let a link lead to `target`; tells whether it did not before. Raises OSError."""
        before = str(path.readlink()) if path.is_symlink() else None
        if before == target:
            return False
        if before is None:
            self.undo_with(f"link {path}", lambda: path.unlink(missing_ok=True))
        else:
            self.undo_with(f"link {path}", lambda: durable.replace_link(path, before))
        durable.replace_link(path, target)
        return True

    def tree(self, path: Path) -> None:
        """Note a folder that this run lets be made, with all in it."""
        self.clean_up_with(
            f"make {path}", lambda: shutil.rmtree(path, ignore_errors=False) if path.exists() else None
        )

    def undo(self) -> list[str]:
        """Take everything back, newest first. Returns what could not be, each with its reason."""
        left = []
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo()
            except (OSError, StepFailed) as error:
                left.append(f"{what}: {error}")
        return left


def _look(path: Path) -> tuple[bytes, int] | None:
    try:
        return path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _remove_folder(path: Path) -> None:
    try:
        path.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        # Something of somebody else's is in it by now.
        if not any(path.iterdir()):
            raise


def _remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
