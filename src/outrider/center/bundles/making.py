"""The archive of a bundle as it is made: in a thread, in a file that no killed process leaves behind."""

import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import BinaryIO, Final, cast

from outrider.center.bundles.installed import Content
from outrider.center.bundles.packing import Packed, pack
from outrider.domain.errors import NoSpace, Unavailable
from outrider.kit.worker import Worker

_FULL: Final = frozenset({ENOSPC, EDQUOT})


@dataclass(frozen=True, slots=True)
class Made:
    """An archive that is whole, readable from its start."""

    archive: BinaryIO
    packed: Packed


@asynccontextmanager
async def made(content: Content, folder: Path) -> AsyncIterator[Made]:
    """Write the archive for the block, on the disk that `folder` is on.

    Raises InstallationUnfit, NoSpace and Unavailable. Left early, the work in the thread ends soon, too.
    """
    left = threading.Event()
    async with Worker("bundle") as worker:
        try:
            # It has no name: it is gone with whoever has it open.
            archive = await worker.hold(
                lambda: cast("BinaryIO", tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - the worker closes it
            )
            packed = await worker.call(
                lambda: pack(archive, content.manifest, content.parts, wanted=lambda: not left.is_set())
            )
        except OSError as error:
            raise disk_problem(error, folder) from error
        finally:
            left.set()
        yield Made(archive, packed)


def disk_problem(error: OSError, folder: Path) -> NoSpace | Unavailable:
    """Make the error for a bundle that the disk does not take, or does not give."""
    if error.errno in _FULL:
        return NoSpace(f"The disk of {folder} is full: a bundle takes some ten megabytes twice.")
    return Unavailable(f"The bundle can't be made in {folder}: {error.strerror or error}.")
