"""Where commands' output is kept: in the agent's folder, or in the one that `disk-directory` names.

In the latter case `captures` is a link to it, which is what tells the next start where everything is. Output
that waits to be delivered is brought along, one file after the other: whatever moment a crash comes at, the
next start goes on with what is left.
"""

import shutil
from pathlib import Path
from typing import Final

from outrider.kit import logs

log = logs.get(__name__)

_NAME: Final = "outrider-captures"


def place_captures(captures: Path, directory: str) -> Path:
    """Have `captures` be in `directory` (empty: where it stands); return the folder that it is now.

    Blocks; for the start, before anything is kept there. A directory that can't be used is logged, and output
    is kept in the agent's folder.
    """
    try:
        _place(captures, Path(directory) / _NAME if directory else None)
    except OSError as error:
        log.warning(
            "output can't be kept where disk-directory says; it stays in the agent's folder",
            directory=directory,
            error=error,
        )
        if captures.is_symlink() and not captures.exists():
            captures.unlink()
        captures.mkdir(mode=0o700, exist_ok=True)
    return captures.resolve() if captures.is_symlink() else captures


def _place(captures: Path, wanted: Path | None) -> None:
    if captures.is_symlink() and wanted == captures.readlink() and captures.exists():
        return
    if wanted is None and not captures.is_symlink():
        captures.mkdir(mode=0o700, exist_ok=True)
        return
    before = captures.resolve()
    beside = captures.with_name(f"{captures.name}.new")
    target = wanted or beside
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if before.is_dir():
        for file in sorted(before.iterdir()):
            shutil.move(file, target / file.name)
        log.info("output that waits is kept elsewhere now", before=str(before), now=str(wanted or captures))
    if captures.is_symlink():
        captures.unlink()
        if before.is_dir():
            before.rmdir()
    elif captures.exists():
        captures.rmdir()
    if wanted is None:
        beside.rename(captures)
    else:
        captures.symlink_to(wanted)
