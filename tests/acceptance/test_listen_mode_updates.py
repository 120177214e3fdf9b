"""An installed agent in listen mode is updated as any other, although its host has no way out."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.acceptance.fleet import Fleet
from tests.acceptance.host_processes import living
from tests.fixtures.agent_bundles import AgentFiles, Bundle, manifest_of, write_bundle
from tests.fixtures.installed_agent import InstalledHost, Template
from tests.fixtures.processes import free_port
from tests.fixtures.proxy import Proxy

_PATIENCE: Final = 90.0
_LOOK_AGAIN: Final = 0.05
_START: Final = "    daemon = Daemon(settings"
_BROKEN: Final = f"    raise RuntimeError('broken on purpose')\n{_START}"
_GOOD: Final = "0.0.9"
_BAD: Final = "0.0.10"


async def _comes_to(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not holds():  # noqa: ASYNC110 - files and processes send no events
            await asyncio.sleep(_LOOK_AGAIN)


class Waiting:
    """A host whose agent is told by its settings file alone, and the proxy by which the center dials it."""

    def __init__(self, fleet: Fleet, host: InstalledHost, proxy: Proxy) -> None:
        self.fleet = fleet
        self.host = host
        self.proxy = proxy
        self.agent_port = free_port()
        proxy.lead_to(self.agent_port)

    def told(self, **settings: str) -> None:
        """Let the settings file say this."""
        lines = [f'{name} = "{value}"\n' for name, value in settings.items()]
        self.host.layout.settings.write_text("".join(lines))

    async def waits(self) -> None:
        """Have the agent wait for the center from now on; nothing answers where it would dial."""
        nobody = f"https://127.0.0.1:{free_port()}"
        self.told(center_url=nobody, link_listen=f"127.0.0.1:{self.agent_port}")
        self.host.program.signal(signal.SIGHUP)
        await self.fleet.dial(self.proxy.port)
        await self.is_linked()

    async def is_linked(self, state: str = "linked") -> None:
        """Return once that is how it stands with the center's dial of this host."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                (dial,) = await self.fleet.api.call("GET", "/dials")
                if dial["state"] == state:
                    return
                await asyncio.sleep(_LOOK_AGAIN)

    async def update(self, version: str, **params: object) -> str:
        """Send the command; return its id."""
        sent: str = await self.fleet.api.send(
            self.host.agent_id, "update_agent", {"version": version, **params}
        )
        return sent

    async def ended(self, sent: str) -> Any:
        """Return what came of it; no way to the center is left open then."""
        await self.fleet.journal.until_ended([sent], seconds=_PATIENCE)
        await _comes_to(lambda: not self.ways)
        return await self.fleet.api.command(self.host.agent_id, sent)

    @property
    def ways(self) -> list[str]:
        """The ways to the center that are open in the agent's folder."""
        return [file.name for file in self.host.layout.agent.glob("center-*.sock")]

    async def pinged(self) -> None:
        """Return once the host has done a new command."""
        sent = await self.fleet.api.send(self.host.agent_id, "ping", {})
        await self.fleet.journal.until_ended([sent], seconds=_PATIENCE)


def _made(folder: Path) -> tuple[Template, list[Bundle]]:
    compiled = folder / "compiled"
    compiled.mkdir()
    files = AgentFiles(compiled)
    broken = files.source("outrider/agent/app.py", (_START, _BROKEN))

    def bundle(version: str, changed: Mapping[str, str]) -> Bundle:
        content = files.content(version, changed)
        return write_bundle(folder, manifest_of(version, content), content)

    template = Template(folder / "template", bundle("0.0.8", {}))
    return template, [bundle(_GOOD, {}), bundle(_BAD, broken)]


async def _import(fleet: Fleet, bundle: Bundle) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "outrider", "center", "bundle", "import", str(bundle.file)),
        *("--home", str(fleet.center.home)),
        env=clean,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 0, err.decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Template, list[Bundle]]:
    """The version that hosts begin with, and a good and a broken one."""
    return _made(tmp_path_factory.mktemp("made"))


@pytest_asyncio.fixture
async def waiting(fleet: Fleet, folder: Path, made: tuple[Template, list[Bundle]]) -> AsyncIterator[Waiting]:
    """A host that has enrolled by dialling, and waits since; the center has a good version."""
    template, (good, _) = made
    await _import(fleet, good)
    host = InstalledHost(folder / "host", template, "", enrolment_key=await fleet.api.new_key())
    del host.program.settings["center_url"]
    waiting = Waiting(fleet, host, await fleet.add_proxy())
    waiting.told(center_url=fleet.url(tls=True))
    async with host:
        await host.program.ready()
        await waiting.waits()
        yield waiting


@pytest.mark.timeout(300)
async def test_updates_need_no_way_out(waiting: Waiting, made: tuple[Template, list[Bundle]]) -> None:
    """A good version stays, also when all was cut in the middle; from a broken one the host goes back.

    Taken out of the settings again, the agent dials.
    """
    fleet, host = waiting.fleet, waiting.host
    agent_id = host.agent_id
    # Nothing but the download is as long as that.
    waiting.proxy.cut_after(300_000)
    shown = await waiting.ended(await waiting.update(_GOOD))
    assert shown["status"] == "succeeded", shown["reason"]
    assert not waiting.proxy.will_cut
    assert "updated from 0.0.8 (build " in shown["reason"]
    assert (await fleet.api.agent(agent_id))["version"] == _GOOD

    await _import(fleet, made[1][1])
    shown = await waiting.ended(await waiting.update(_BAD))
    assert shown["status"] == "failed", (shown, host.log)
    assert "RuntimeError: broken on purpose" in shown["reason"]
    await waiting.pinged()
    assert (host.versions.current or "").startswith(f"{_GOOD}-")
    assert host.versions.trial() is None
    assert (await fleet.api.agent(agent_id))["version"] == _GOOD

    shown = await waiting.ended(await waiting.update("9.9.9"))
    assert shown["status"] == "failed"
    assert "9.9.9" in shown["reason"]

    waiting.proxy.refuse(on=True)
    waiting.proxy.cut()
    waiting.told(center_url=fleet.url(tls=True))
    host.program.signal(signal.SIGHUP)
    await waiting.pinged()
    assert host.agent_id == agent_id


async def test_an_update_that_is_cut_for_good_leaves_nothing(waiting: Waiting) -> None:
    """Out of time with a center that is gone, or the agent killed: told so, and the next one succeeds."""
    sent = await waiting.update(_GOOD, timeout=6)
    await _comes_to(lambda: bool(waiting.ways))
    waiting.proxy.refuse(on=True)
    waiting.proxy.cut()
    await _comes_to(lambda: not waiting.ways)
    assert living([sent]) == {}
    waiting.proxy.refuse(on=False)
    shown = await waiting.ended(sent)
    assert shown["status"] in ("failed", "timed_out"), shown

    await waiting.is_linked()
    sent = await waiting.update(_GOOD)
    await _comes_to(lambda: bool(waiting.ways))
    waiting.host.kill()
    shown = await waiting.ended(sent)
    assert shown["status"] == "interrupted", shown
    assert living([sent]) == {}

    shown = await waiting.ended(await waiting.update(_GOOD))
    assert shown["status"] == "succeeded", (shown, waiting.host.log)
