"""Which command types this host can't do at all, whatever its policy allows."""

import shutil
from pathlib import Path
from typing import Final

from outrider.engines.commands import systemd
from outrider.engines.commands.environment import SEARCH_PATH
from outrider.engines.commands.package_tools import tools_of
from outrider.engines.commands.power import can_reboot

_ROOT: Final = Path("/")


def impossible(root: Path = _ROOT, path: str = SEARCH_PATH) -> frozenset[str]:
    """Return the types that would only fail here: no systemd, no package tools, no way to reboot.

    `path` is where programs are looked for. Looks at a few files; blocks.
    """

    def has(program: str) -> bool:
        return shutil.which(program, path=path) is not None

    missing: set[str] = set()
    if not (systemd.booted(root) and has(systemd.PROGRAM)):
        missing |= {"service", "services"}
    if tools_of(root) is None:
        missing.add("packages")
    if not can_reboot(root, has):
        missing.add("reboot")
    return frozenset(missing)
