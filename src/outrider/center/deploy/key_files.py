"""Key files at the center: which ones a request may name.

Who may deploy signs in on other machines with these keys, so only what lies in one folder is taken: unless
set otherwise the `.ssh` of the center's own user. What a file holds is never told, whatever is wrong with it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from outrider.domain.deployments import SshKeyUnusable

_MOST_BYTES: Final = 64 * 1024


class KeyFiles:
    """The folder that key files may be named from."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it need not be there before a key is asked for."""
        self._folder = folder

    def read(self, named: str) -> str:
        """Return the text of a key file: `~/.ssh/NAME`, an absolute path, or a name in the folder. Blocks.

        Raises SshKeyUnusable; of what lies elsewhere it does not even tell whether it is there.
        """
        try:
            folder = self._folder.expanduser().resolve()
            path = folder / Path(named).expanduser()
            if not path.resolve().is_relative_to(folder):
                raise SshKeyUnusable(
                    f"Key files are taken from {self._folder} alone, without links that lead out of it. Put "
                    "the key there (the setting deploy_keys names another folder), or send its text as "
                    "ssh_key_text.",
                    field="ssh_key",
                )
            return _read(path.resolve())
        except (OSError, RuntimeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no key file"
            raise SshKeyUnusable(
                f"The key file {named[:200]!r} can't be read at the center: {reason.lower()}.",
                field="ssh_key",
            ) from None


def _read(path: Path) -> str:
    # Not waiting for a writer, should somebody have put a pipe there.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError
        data = os.read(descriptor, _MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > _MOST_BYTES:
        raise ValueError
    return data.decode("ascii")
