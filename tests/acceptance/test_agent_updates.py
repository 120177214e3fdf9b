"""A fleet of installed agents is updated through the real center, some at a time; long commands run on."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from outrider.agent.enrolment_record import EnrolmentRecord, write_record
from tests.acceptance.fleet import PASSWORD, Fleet
from tests.fixtures.agent_bundles import AgentFiles, Bundle, manifest_of, write_bundle
from tests.fixtures.installed_agent import InstalledHost, Template, enrolment_of

_HOSTS: Final = 50
_FAILING: Final = (1, 4, 6)
"""Places, in the order in which hosts get their turn, of those on which the new version does not start."""
_AT_ONCE: Final = 5
_STARTING: Final = 8
_PATIENCE: Final = 100.0
_BROKEN: Final = "broken-here"
# On a host with this file in the agent's data the new version fails; on the others it is good.
_START: Final = "    daemon = Daemon(settings"
_FAILS: Final = f"""\
    if (settings.home / "{_BROKEN}").exists():
        raise RuntimeError("broken on purpose")
{_START}"""


def _bundle(folder: Path, files: AgentFiles, version: str, changed: Mapping[str, str]) -> Bundle:
    content = files.content(version, changed)
    return write_bundle(folder, manifest_of(version, content), content)


async def _outrider(fleet: Fleet, *words: str, stdin: str = "") -> tuple[int, str, str]:
    """Run the command line as an administrator does, and return exit code, stdout and stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "outrider",
        *words,
        env={**clean, "XDG_CONFIG_HOME": str(fleet.folder / "config")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin.encode())
    return process.returncode or 0, out.decode(), err.decode()


async def _sign_in(fleet: Fleet) -> None:
    code, _, err = await _outrider(
        fleet, "login", fleet.url(), "--username", "admin", "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    assert code == 0, err


async def _import(fleet: Fleet, bundle: Bundle) -> None:
    code, _, err = await _outrider(
        fleet, "center", "bundle", "import", str(bundle.file), "--home", str(fleet.center.home)
    )
    assert code == 0, err


class Hosts:
    """Installed hosts of one center."""

    def __init__(self, fleet: Fleet, template: Template, stack: AsyncExitStack) -> None:
        """Begin with none."""
        self._fleet = fleet
        self._template = template
        self._stack = stack
        self.all: list[InstalledHost] = []

    async def add(self, count: int) -> None:
        """Install, enrol and start hosts; returns once all are online."""
        key = await self._fleet.api.new_key(uses=count)
        gate = asyncio.Semaphore(_STARTING)

        async def add(number: int) -> InstalledHost:
            async with gate:
                name, url = f"host-{number}", self._fleet.url()
                folder = self._fleet.folder / name
                host = await asyncio.to_thread(InstalledHost, folder, self._template, url)
                request = await asyncio.to_thread(enrolment_of, host.layout, key, name)
                answer = await self._fleet.api.call("POST", "/agents/enrol", msgspec.to_builtins(request))
                record = EnrolmentRecord(
                    center_url=url, agent_key=request.agent_key, agent_id=answer["agent_id"], label=name
                )
                await asyncio.to_thread(write_record, host.layout.enrolment, record)
                await self._stack.enter_async_context(host)
                await host.program.ready()
                return host

        async with asyncio.TaskGroup() as group:
            added = [group.create_task(add(number)) for number in range(count)]
        self.all += sorted((task.result() for task in added), key=lambda host: host.agent_id)

    async def versions(self) -> dict[str, str]:
        """Which version each online agent runs, as the center knows it, by id."""
        listed = await self._fleet.api.call("GET", "/agents?status=online")
        return {agent["id"]: agent["version"] for agent in listed}


@pytest.mark.timeout(300)
async def test_a_fleet_is_updated_until_the_third_failure(fleet: Fleet, folder: Path) -> None:
    """Of 50 hosts five at a time are updated; three fail, are back on the old version, and no more begin."""
    compiled = folder / "compiled"
    compiled.mkdir()
    files = await asyncio.to_thread(AgentFiles, compiled)
    old = await asyncio.to_thread(_bundle, folder, files, "0.0.8", {})
    changed = files.source("outrider/agent/app.py", (_START, _FAILS))
    new = await asyncio.to_thread(_bundle, folder, files, "0.0.9", changed)
    template = await asyncio.to_thread(Template, folder / "template", old)
    await _sign_in(fleet)
    await _import(fleet, new)
    async with AsyncExitStack() as stack:
        hosts = Hosts(fleet, template, stack)
        await hosts.add(_HOSTS)
        for place in _FAILING:
            (hosts.all[place].layout.home / _BROKEN).touch()
        long = await fleet.api.send(
            hosts.all[0].agent_id, "shell", {"command": "echo before; sleep 20; echo after"}
        )
        await fleet.journal.until_begun([long])

        code, out, err = await _outrider(
            fleet,
            *("agents", "update", "--target", "all", "--version", "0.0.9", "--json", "--yes"),
            *("--concurrency", str(_AT_ONCE), "--max-failures", str(len(_FAILING) - 1)),
        )
        assert code == 1, err
        assert f"{_HOSTS} hosts: {_HOSTS} run 0.0.8" in err
        said: dict[str, Any] = json.loads(out)
        assert said["dispatch"]["state"] == "stopped"
        ended = {command["agent_id"]: command for command in said["commands"]}
        failed = [host.agent_id for place, host in enumerate(hosts.all) if place in _FAILING]
        assert {agent for agent, command in ended.items() if command["status"] == "failed"} == set(failed)
        for agent in failed:
            assert "RuntimeError: broken on purpose" in ended[agent]["reason"]
            assert "0.0.8 (build " in ended[agent]["reason"]
        updated = [agent for agent, command in ended.items() if command["status"] == "succeeded"]
        # What was under way at the third failure goes on to its end.
        assert _FAILING[-1] - 2 <= len(updated) <= _FAILING[-1] + _AT_ONCE
        versions = await hosts.versions()
        assert len(versions) == _HOSTS
        assert {agent for agent, version in versions.items() if version == "0.0.9"} == set(updated)
        assert {version for agent, version in versions.items() if agent not in updated} == {"0.0.8"}
        await fleet.journal.until_ended([long], seconds=_PATIENCE)
        shown = await fleet.api.command(hosts.all[0].agent_id, long)
        assert (shown["status"], shown["stdout"]) == ("succeeded", "before\nafter\n")


async def test_the_centers_own_bundle_takes_over(fleet: Fleet, folder: Path) -> None:
    """What the center makes of itself replaces an older agent; the agent's page says so before and after."""
    compiled = folder / "compiled"
    compiled.mkdir()
    files = await asyncio.to_thread(AgentFiles, compiled)
    old = await asyncio.to_thread(_bundle, folder, files, "0.0.8", {})
    template = await asyncio.to_thread(Template, folder / "template", old)
    async with AsyncExitStack() as stack:
        hosts = Hosts(fleet, template, stack)
        await hosts.add(1)
        (host,) = hosts.all
        sent = await fleet.api.send(host.agent_id, "update_agent", {})
        await fleet.journal.until_ended([sent], seconds=_PATIENCE)
        shown = await fleet.api.command(host.agent_id, sent)
        assert shown["status"] == "succeeded", (shown, host.log)
        assert "updated from 0.0.8 (build " in shown["reason"]
        detail = await fleet.api.agent(host.agent_id)
        assert detail["agent_build"] == host.standing()["build"]
        assert detail["newer"] is None
        ping = await fleet.api.send(host.agent_id, "ping", {})
        await fleet.journal.until_ended([ping])
        again = await fleet.api.send(host.agent_id, "update_agent", {})
        await fleet.journal.until_ended([again], seconds=_PATIENCE)
        assert (await fleet.api.command(host.agent_id, again))["reason"].endswith("runs here already")
