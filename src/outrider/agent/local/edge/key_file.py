"""The key of the edge API: 32 letters and digits in the file `local-api`, for those who may read it."""

import re
import secrets
import stat
import string
from pathlib import Path
from typing import Final

from outrider.kit import logs
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically

log = logs.get(__name__)

_MODE: Final = 0o640
_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")
_LETTERS: Final = string.ascii_letters + string.digits
_LENGTH: Final = 32
_MAX_FILE: Final = 4096


def load_or_make_key(path: Path) -> str:
    """Return the key in this file; one is made where there is none. Blocks.

    Where the disk does not take it, nobody learns the key that is returned, so nobody can use it.
    """
    try:
        return _load_or_make(path)
    except OSError as error:
        log.warning("the edge API's key can't be kept; calls that need it are refused", error=error)
        return _new_key()


def _load_or_make(path: Path) -> str:
    try:
        kept = read_bounded(path, _MAX_FILE).decode("ascii", "replace").partition("\n")[0].strip()
    except FileNotFoundError:
        kept = ""
    except FileTooLarge:
        kept = "too large"
    if _KEY.fullmatch(kept):
        _close_to_others(path)
        return kept
    if kept:
        log.warning("what is in the edge API's key file is no key; a new one is made", file=str(path))
    key = _new_key()
    write_atomically(path, f"{key}\n".encode(), mode=_MODE)
    return key


def show_to_other_programs(key: str, file: Path) -> bool:
    """Put the key in the file where programs look that know the original agent; say whether.

    It is left alone where that agent lives. Blocks. A folder that can't be written is logged.
    """
    folder = file.parent
    try:
        if folder.is_dir() and any(entry.name != file.name for entry in folder.iterdir()):
            return False
        folder.mkdir(mode=0o755, exist_ok=True)
        write_atomically(file, f"{key}\n".encode(), mode=_MODE)
    except OSError as error:
        log.warning("the edge API's key can't be put where other programs look", file=str(file), error=error)
        return False
    return True


def _new_key() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def _close_to_others(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) != _MODE:
        path.chmod(_MODE)
