"""This release beside the last one: agents and centers are updated in any order."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet, Host, open_fleet
from tests.fixtures.agent_bundles import AgentFiles, manifest_of, write_bundle
from tests.fixtures.installed_agent import InstalledHost, Template
from tests.fixtures.last_release import LastRelease, last_release

_PATIENCE = 100.0


@pytest.fixture
def release(folder: Path) -> LastRelease:
    """The last release."""
    return last_release(folder / "release")


async def _work_together(fleet: Fleet, host: Host) -> None:
    """Have a host do one of each: quick and long, much output, failure, cancel, and a restart in place."""
    work = [errands.quick(1), errands.chatty(60_000), errands.failing(3), errands.steady(6, 0.5, lines=50)]
    sent = await fleet.send_all((host, errand) for errand in work)
    endless = await fleet.send(host, errands.sleeper())
    await fleet.journal.until_begun([endless.id, sent[-1].id])
    host.program.signal(signal.SIGHUP)
    await fleet.assert_done(sent)
    await fleet.answers(host)
    await fleet.api.cancel(host.agent_id, endless.id)
    await fleet.journal.until_ended([endless.id])
    assert fleet.journal.endings(endless.id) == ["cancelled"]
    facts = await fleet.api.send(host.agent_id, "system_info", {})
    await fleet.journal.until_ended([facts])
    assert fleet.journal.endings(facts) == ["succeeded"]
    shown = await fleet.api.agent(host.agent_id)
    assert (shown["status"], shown["connection"]["link"]) == ("online", "open")


async def test_an_agent_of_the_last_release_works_with_this_center(
    fleet: Fleet, release: LastRelease
) -> None:
    """It joins, runs commands, restarts in place, and is seen."""
    host = await fleet.add_host("old", prefix=release.prefix)
    assert f"PYTHONPATH={release.source}" in _environment(host)
    await _work_together(fleet, host)


async def test_this_agent_works_with_a_center_of_the_last_release(
    folder: Path, seed: int, release: LastRelease
) -> None:
    """A host that was updated before its center does all that the center knows."""
    async with open_fleet(folder, seed, center_prefix=release.prefix) as fleet:
        host = await fleet.add_host("new")
        await _work_together(fleet, host)


async def test_an_agent_of_the_last_release_is_updated_to_this_one(
    fleet: Fleet, folder: Path, release: LastRelease
) -> None:
    """By its own code, to this center's bundle, with a command that runs on from one release to the other."""
    compiled = folder / "compiled"
    compiled.mkdir()
    files = await asyncio.to_thread(AgentFiles, compiled, release.package)
    content = await asyncio.to_thread(files.content, "0.0.9", {})
    bundle = await asyncio.to_thread(write_bundle, folder, manifest_of("0.0.9", content), content)
    template = await asyncio.to_thread(Template, folder / "template", bundle)
    key = await fleet.api.new_key()
    async with AsyncExitStack() as stack:
        host = InstalledHost(folder / "host", template, fleet.url(), enrolment_key=key)
        await stack.enter_async_context(host)
        await host.program.ready()
        long = await fleet.api.send(host.agent_id, "shell", {"command": "echo a; sleep 10; echo b; exit 4"})
        await fleet.journal.until_begun([long])
        update = await fleet.api.send(host.agent_id, "update_agent", {})
        await fleet.journal.until_ended([update, long], seconds=_PATIENCE)
        told: dict[str, Any] = await fleet.api.command(host.agent_id, update)
        assert told["status"] == "succeeded", (told["reason"], host.log)
        assert told["reason"].startswith("updated from 0.0.9 (build ")
        ran: dict[str, Any] = await fleet.api.command(host.agent_id, long)
        assert (ran["status"], ran["exit_code"], ran["stdout"]) == ("failed", 4, "a\nb\n")


def _environment(host: Host) -> list[str]:
    return Path(f"/proc/{host.program.pid}/environ").read_text().split("\0")
