"""What each word of the program does.

Each loads only what it needs: `run` stands before every start of an agent.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from outrider.bootstrap.layout import (
    DEFAULT_PREFIX,
    Installed,
    NotInstalled,
    RecordBroken,
    prefix_of_program,
    read_installed,
)
from outrider.bootstrap.steps import StepFailed
from outrider.bootstrap.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_FOREGROUND: Final = "--foreground"


def _run(argv: Sequence[str]) -> int:
    """Become the agent."""
    from outrider.bootstrap import launch  # noqa: PLC0415 - see above

    return launch.run(argv)


def _fetch(argv: Sequence[str]) -> int:
    """Bring a version from the center."""
    from outrider.bootstrap import launch  # noqa: PLC0415 - see above

    return launch.fetch(argv)


def _install(argv: Sequence[str]) -> int:
    """Install the agent, or bring an installation up to date."""
    from outrider.bootstrap import install  # noqa: PLC0415 - see above

    return install.main(argv)


def _keep(argv: Sequence[str]) -> int:
    """Run the agent under a keeper, in the background unless told otherwise."""
    from outrider.bootstrap import keeper  # noqa: PLC0415 - see above

    layout = _installed().layout
    if _FOREGROUND not in argv and not keeper.become_background(layout.keeper_log):
        return 0
    try:
        return keeper.keep(layout)
    except (keeper.AlreadyKept, OSError) as error:
        return _complain(str(error))


def _stop(argv: Sequence[str]) -> int:
    """Stop the agent until it is started again."""
    from outrider.bootstrap import service  # noqa: PLC0415 - see above

    del argv
    installed = _installed()
    service.of_kind(installed.service, installed.layout).stop()
    return 0


def _cli(argv: Sequence[str]) -> NoReturn:
    """Become the command line of the version in place."""
    layout = _installed().layout
    versions = Versions(layout)
    if versions.current is None:
        raise StepFailed(f"no version of the agent is in place in {layout.versions}")
    site = versions.site(versions.current)
    os.execv(sys.executable, [sys.executable, "-I", "-S", str(site), *argv])


def _uninstall(argv: Sequence[str]) -> int:
    """Take away the installation that this program belongs to, or the usual one when it belongs to none."""
    from outrider.bootstrap import uninstall  # noqa: PLC0415 - see above

    own = prefix_of_program(sys.argv[0])
    return uninstall.main(argv, usual_prefix=own if _is_installation(own) else DEFAULT_PREFIX)


def _is_installation(prefix: Path) -> bool:
    try:
        read_installed(prefix)
    except NotInstalled:
        return False
    except RecordBroken:
        return True
    return True


def _installed() -> Installed:
    try:
        return read_installed(prefix_of_program(sys.argv[0]))
    except (NotInstalled, RecordBroken) as error:
        raise StepFailed(str(error)) from error


def _complain(text: str) -> int:
    sys.stderr.write(f"outrider: {text}\n")
    return 1


def _told(word: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """Let what a word can't do be a sentence."""

    def carry_out(argv: Sequence[str]) -> int:
        try:
            return word(argv)
        except StepFailed as failed:
            return _complain(failed.detail)

    return carry_out


WORDS: Final[dict[str, Callable[[Sequence[str]], int]]] = {
    "run": _run,
    "fetch": _fetch,
    "install": _install,
    "uninstall": _uninstall,
    "keep": _told(_keep),
    "stop": _told(_stop),
    "cli": _told(_cli),
}
