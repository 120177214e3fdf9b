"""The private folder in which a command's script lies while it runs."""

import os
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from outrider.domain.ids import CommandId
from outrider.engines.commands.accounts import Account
from outrider.kit import logs

log = logs.get(__name__)

_SCRIPT: Final = "script"


class ScriptFolder:
    """One command's folder, mode 0700, owned by the user the command runs as.

    It lies in `scratch`. That is the agent's own folder, which other users can't pass; for another user it
    lies in the system's temporary folder, and `scratch` holds a link that remembers it for the sweep after a
    crash. Everything here blocks.
    """

    def __init__(self, scratch: Path, command_id: CommandId) -> None:
        self._entry = scratch / command_id

    def write(self, text: str, account: Account) -> Path:
        """Make the folder, write the script and return its path. Raises OSError."""
        self._entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._entry
        if account.switch:
            folder = Path(tempfile.gettempdir()) / f"outrider-{self._entry.name}"
            self._entry.symlink_to(folder)
        folder.mkdir(mode=0o700)
        script = folder / _SCRIPT
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(script, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            if account.switch:
                os.fchown(file.fileno(), account.uid, account.gid)
        if account.switch:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        return script

    def remove(self) -> None:
        """Remove the folder with all that is in it, when it is there; what can't be removed is logged."""
        try:
            if self._entry.is_symlink():
                with suppress(FileNotFoundError):
                    shutil.rmtree(self._entry.readlink())
                self._entry.unlink(missing_ok=True)
            else:
                with suppress(FileNotFoundError):
                    shutil.rmtree(self._entry)
        except OSError as error:
            log.warning("a script can't be removed", folder=str(self._entry), error=str(error))


def sweep_scripts(scratch: Path, keep: Collection[CommandId]) -> None:
    """Remove the folders of all commands but those in `keep`: what a killed agent left."""
    if not scratch.is_dir():
        return
    for entry in scratch.iterdir():
        if entry.name not in keep:
            ScriptFolder(scratch, CommandId(entry.name)).remove()
