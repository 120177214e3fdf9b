"""A host joins by a short key: the program at both ends, TLS between them, and no trust without a reason."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from tests.acceptance.fleet import Fleet, Host
from tests.fixtures.processes import free_port

_PATIENCE: Final = 60.0


async def _run(environ: dict[str, str], *words: str) -> tuple[int, str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outrider", *words,
        env={**clean, "NO_COLOR": "1", **environ},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(_PATIENCE):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def _short_key(fleet: Fleet) -> str:
    """Make a key as an administrator does; its short form alone is on standard output."""
    config = fleet.folder / "config"
    token = fleet.api.headers["Authorization"].removeprefix("Bearer ")
    saved = SavedCenter(url=fleet.url(), username="admin", token=token)
    centers.save(centers.default_path({"XDG_CONFIG_HOME": str(config)}), Centers().with_center("it", saved))
    code, out, err = await _run({"XDG_CONFIG_HOME": str(config)}, "keys", "new", "--short", "--approve")
    assert code == 0, err
    assert "oek_" in err
    assert "agent provision" in err
    return out.strip()


async def _authority(fleet: Fleet) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(f"{fleet.url()}/api/ca") as answer:
        return await answer.read()


def _folder_with(authority: bytes, folder: Path) -> Path:
    folder.mkdir()
    (folder / "center.pem").write_bytes(authority)
    return folder


def _host(fleet: Fleet, **settings: str) -> tuple[Host, dict[str, str]]:
    place = f"127.0.0.1:{free_port()}"
    host = fleet.new_host("typed", edge_api_listen=place, **settings)
    return host, {"OUTRIDER_HOME": str(host.home), "OUTRIDER_EDGE_API_LISTEN": place}


async def _agent_is_listed(fleet: Fleet, agent_id: str) -> Any:
    listed = await fleet.api.call("GET", "/agents")
    return [each["id"] for each in listed] == [agent_id]


async def test_a_host_joins_by_eight_characters_where_it_trusts_the_center(fleet: Fleet) -> None:
    """An unknown authority gets no character; with cert-directory the host joins, and later by the pin."""
    short = await _short_key(fleet)
    assert len(short) == 8
    host, environ = _host(fleet)
    await host.program.start()
    async with asyncio.timeout(_PATIENCE):
        while (await _run(environ, "agent", "status"))[0]:
            continue  # it is just starting
    center = f"controller-url={fleet.url(tls=True)}"
    assert (await _run(environ, "agent", "config", center))[0] == 0
    code, _, err = await _run(environ, "agent", "provision", short)
    assert code != 0
    assert "full enrolment key" in err
    audited = await fleet.api.call("GET", "/audit?action=enrolment_key.exchange")
    assert audited["entries"] == []

    folder = _folder_with(await _authority(fleet), fleet.folder / "authorities")
    assert (await _run(environ, "agent", "config", f"cert-directory={folder}"))[0] == 0
    code, out, err = await _run(environ, "agent", "provision", short.lower(), "--json")
    assert code == 0, err
    assert await _agent_is_listed(fleet, json.loads(out)["uuid"])
    await host.program.ready()

    # The host has pinned the center's authority by now, and keeps it when the center deletes the agent.
    await fleet.api.call("DELETE", f"/agents/{json.loads(out)['uuid']}")
    async with asyncio.timeout(_PATIENCE):
        while "not provisioned" not in (await _run(environ, "agent", "status"))[1]:
            continue  # it is just being told
    assert (await _run(environ, "agent", "config", "cert-directory="))[0] == 0
    code, out, err = await _run(environ, "agent", "provision", await _short_key(fleet), "--json")
    assert code == 0, err
    assert await _agent_is_listed(fleet, json.loads(out)["uuid"])


async def test_a_short_key_in_the_settings_does(fleet: Fleet) -> None:
    """On the center's own machine, over its plain port; the host is connected."""
    host, _ = _host(fleet, center_url=fleet.url(), enrolment_key=await _short_key(fleet))
    await host.start()
    assert await _agent_is_listed(fleet, host.agent_id)
