"""Which modules are foreign to a host's daemon."""

import pytest

from bench.rig.modules import foreign_to_the_daemon, imported

_LOG = """\
import time: self [us] | cumulative | imported package
import time:       109 |        109 |   _io
import time:       300 |        409 | sqlalchemy.engine
2026-01-01T00:00:00Z INFO a line of the program's own
import time:        12 |         12 |     outrider.agent.app
"""


def test_the_modules_are_read_from_what_the_interpreter_tells() -> None:
    """Nested or not, each module is named; the program's own lines are passed over."""
    assert imported(_LOG) == {"_io", "sqlalchemy.engine", "outrider.agent.app"}


def test_a_log_without_imports_proves_nothing() -> None:
    """A program that did not tell must not pass for one that loaded nothing."""
    with pytest.raises(ValueError, match="does not say"):
        imported("ready\n")


def test_the_centers_parts_are_foreign_and_the_agents_are_not() -> None:
    """Packages that only the center needs, other rooms of ours, and the CLI's libraries are named."""
    loaded = {"asyncio", "aiohttp.web", "outrider.agent.app", "outrider.kit.logs", "msgspec"}
    assert foreign_to_the_daemon(loaded) == []
    wrong = {"sqlalchemy.engine", "uvloop", "outrider.center.app", "cryptography.x509", "rich"}
    assert foreign_to_the_daemon(loaded | wrong) == [
        "cryptography",
        "outrider.center",
        "rich",
        "sqlalchemy",
        "uvloop",
    ]
