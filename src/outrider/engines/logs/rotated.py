"""Finds a log file again that rotation has given another name. Everything here blocks."""

import os
import posixpath
from contextlib import ExitStack
from itertools import islice
from typing import Final

from outrider.domain.errors import OutriderError
from outrider.engines.files.rooted import Roots
from outrider.engines.logs.file_position import FilePosition
from outrider.engines.logs.open_log import OpenLog
from outrider.kit import logs

log = logs.get(__name__)

_LOOKED_AT: Final = 10_000
"""Entries of the folder that are looked at: a folder with more is no folder of logs."""


def find_rotated(roots: Roots, path: str, position: FilePosition) -> OpenLog | None:
    """Return the file that `position` is in, open, when it lies in the folder of `path` under any name."""
    folder = posixpath.dirname(path)
    try:
        name = _name_of(roots, folder, position.inode)
        if name is None:
            return None
        found = OpenLog.open(roots, posixpath.join(folder, name))
        with ExitStack() as unless_it_is_the_one:
            unless_it_is_the_one.callback(found.close)
            if found.goes_on(position):
                unless_it_is_the_one.pop_all()
                return found
    except OutriderError as error:
        # Where the folder may not be listed, the reader is told that lines may be missing.
        log.debug("a rotated log can't be looked for", folder=folder, reason=error.detail)
    return None


def _name_of(roots: Roots, folder: str, inode: int) -> str | None:
    descriptor = roots.open_folder(folder)
    try:
        with os.scandir(descriptor) as entries:
            for entry in islice(entries, _LOOKED_AT):
                if entry.inode() == inode:
                    return entry.name
    except OSError as error:
        log.debug("a folder can't be listed", folder=folder, reason=str(error))
    finally:
        os.close(descriptor)
    return None
