"""Takes an installation off the disk: what installs of ours put there, and folders that are empty then."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from outrider.bootstrap import durable
from outrider.bootstrap.service import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from outrider.bootstrap.layout import Layout


def remove_program(layout: Layout) -> None:
    """Remove everything below the prefix that is ours, the record last, and the prefix if nothing is left.

    Raises OSError.
    """
    for folder in (layout.versions, layout.downloads):
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    if not layout.prefix.is_dir():
        return
    for left in layout.prefix.iterdir():
        if durable.is_leaving(left):
            shutil.rmtree(left)
        elif _is_temporary(left):
            left.unlink()
    for file in (
        layout.current,
        layout.previous,
        layout.trial,
        layout.outcome,
        layout.keeper_lock,
        layout.versions_lock,
        layout.launcher,
        layout.program,
        layout.installed,
    ):
        file.unlink(missing_ok=True)
    remove_if_empty([layout.prefix])


def remove_shim(layout: Layout) -> None:
    """Remove `outrider` from everybody's path, if it is ours. Raises OSError."""
    if is_ours(layout.shim):
        layout.shim.unlink()


def remove_settings(layout: Layout) -> None:
    """Remove the agent's settings. Raises OSError."""
    layout.settings.unlink(missing_ok=True)
    remove_if_empty([layout.settings.parent])


def remove_edge_key(layout: Layout) -> None:
    """Remove the key that the agent shows to other programs, if it is this agent's. Raises OSError.

    That is told by the agent's own file of it: before its data are removed.
    """
    try:
        is_this = layout.edge_key.read_bytes() == layout.own_edge_key.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    if is_this:
        layout.edge_key.unlink()
        remove_if_empty([layout.edge_key.parent])


def remove_data(layout: Layout) -> None:
    """Remove the agent's data and logs, and the data folder if nothing else is in it. Raises OSError."""
    if layout.agent.exists():
        durable.remove_tree(layout.agent)
    if not layout.home.is_dir():
        return
    for left in layout.home.iterdir():
        if durable.is_leaving(left):
            shutil.rmtree(left)
        elif left.name.startswith((layout.log.name, layout.keeper_log.name)):
            left.unlink()
    remove_if_empty([layout.home])


def remove_if_empty(folders: Iterable[Path]) -> None:
    """Remove these folders where nothing is in them, the last first. Raises OSError."""
    for folder in reversed(list(folders)):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()


def _is_temporary(path: Path) -> bool:
    """Tell whether a file is what is left of a write that was cut off."""
    return path.name.startswith(".") and path.name.endswith(".tmp") and (path.is_symlink() or path.is_file())
