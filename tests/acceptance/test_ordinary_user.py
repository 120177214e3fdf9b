"""An agent that is not root."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.fleet import Errand, Fleet

_USER = "nobody"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of that user's own."""
    with tempfile.TemporaryDirectory(prefix="outrider-ordinary-") as folder:
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_USER)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield Path(folder)


def _as_ordinary_user() -> list[str]:
    """Return a command that runs a program as an ordinary user, who may read our code wherever it lies."""
    if os.geteuid() != 0:
        return []
    identity = [f"--reuid={_USER}", "--regid=nogroup", "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


async def test_it_runs_commands_as_itself(fleet: Fleet, home: Path) -> None:
    """It joins, works, stops and comes back; to be somebody else is refused with the reason."""
    name = _USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    host = await fleet.add_host("host", prefix=_as_ordinary_user(), home=str(home))
    host.runs = home / "runs"
    await fleet.assert_done([await fleet.send(host, Errand("id -un", f"{name}\n"))])
    other = await fleet.send(host, Errand("id -un"), user="root")
    await fleet.journal.until_ended([other.id])
    shown = await fleet.api.command(host.agent_id, other.id)
    assert shown["status"] == "failed"
    assert "root" in shown["reason"]
    assert await host.program.stop() == 0
    await host.start()
    await fleet.assert_done([await fleet.send(host, Errand("id -un", f"{name}\n"))])
