"""Changes on disk that are whole or not there, also after a power cut. They block, and raise OSError."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

_LEAVING: Final = ".leaving-"


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the content of `path`, with exactly the permissions `mode`."""
    temporary = _beside(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_link(path: Path, target: str) -> None:
    """Let the symbolic link `path` lead to `target`, in one step."""
    temporary = _beside(path)
    temporary.symlink_to(target)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file; one that is not there is fine."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it. It loses its name first, so that nobody meets half of it."""
    leaving = folder.with_name(f"{_LEAVING}{os.urandom(6).hex()}")
    try:
        folder.rename(leaving)
    except FileNotFoundError:
        return
    shutil.rmtree(leaving)


def is_leaving(path: Path) -> bool:
    """Tell whether a path is what is left of a removal that was cut off."""
    return path.name.startswith(_LEAVING)


def sync_folder(folder: Path) -> None:
    """Bring a folder's own entries onto the disk: a rename in it may be lost in a power cut otherwise."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring everything below `folder` onto the disk.

    One call for its whole file system where the C library has it (`os.sync` would wait for every file system
    of the host, a network's that is away among them), else file by file.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _sync_file_system(descriptor):
            return
    finally:
        os.close(descriptor)
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync_file(Path(parent, name))
        sync_folder(Path(parent))


def _sync_file_system(descriptor: int) -> bool:
    with suppress(ImportError, AttributeError, OSError):
        # Not every python3 has it, and it takes its time to load: only when it is needed.
        import ctypes  # noqa: PLC0415 - see above

        done: int = ctypes.CDLL(None, use_errno=True).syncfs(descriptor)
        return done == 0
    return False


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
