"""Listen mode: an agent waits on a port, and the center dials it; others at either end get nowhere."""

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from outrider.protocol.dialling import FIRST, line_for
from tests.acceptance import errands
from tests.acceptance.fleet import Fleet
from tests.fixtures.processes import free_port

_PATIENCE: Final = 60.0
_LOOK_AGAIN: Final = 0.05
_QUIET: Final = 3.0


async def _dial_comes_to(fleet: Fleet, address: str, holds: Callable[[dict[str, Any]], bool]) -> Any:
    """Return how it stands with an address once that holds of it."""
    shown = None
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                listed = await fleet.api.call("GET", "/dials")
                shown = next((each for each in listed if each["address"] == address), None)
                if shown is not None and holds(shown):
                    return shown
                await asyncio.sleep(_LOOK_AGAIN)
    except TimeoutError:
        raise AssertionError(f"{address} stands so: {shown}") from None


def _linked(dial: dict[str, Any]) -> bool:
    return bool(dial["state"] == "linked")


async def _outrider(fleet: Fleet, *words: str) -> str:
    """Run the program as a signed-in administrator; it succeeds."""
    config = fleet.folder / "config"
    token = fleet.api.headers["Authorization"].removeprefix("Bearer ")
    saved = SavedCenter(url=fleet.url(), username="admin", token=token)
    centers.save(centers.default_path({"XDG_CONFIG_HOME": str(config)}), Centers().with_center("it", saved))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outrider", *words,
        env={**clean, "XDG_CONFIG_HOME": str(config), "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(_PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_from_the_first_dial_to_the_last(fleet: Fleet) -> None:
    """Typed in, linked, at work; at another address instead; deleted, and dialled no more."""
    port = free_port()
    host = fleet.new_host(
        "waiting",
        center_url=fleet.url(tls=True),
        enrolment_key=await fleet.api.new_key(),
        link_listen=f"127.0.0.1:{port}",
    )
    first = f"127.0.0.1:{port}"
    assert "not reached yet" in await _outrider(fleet, "agents", "dial", first)
    await host.start()
    assert host.agent_id in await _outrider(fleet, "agents", "dials")
    sent = await fleet.send_all((host, errands.mixed(fleet.rng, number)) for number in range(10))
    await fleet.assert_done(sent)
    proxy = await fleet.add_proxy(port)
    second = f"127.0.0.1:{proxy.port}"
    await fleet.dial(proxy.port)
    # The newest connection is the agent's; the link that is open stays until it breaks.
    assert "not dialled any more" in await _outrider(fleet, "agents", "undial", first)
    await _dial_comes_to(fleet, second, _linked)
    await fleet.answers(host)
    third = await fleet.add_proxy(port)
    moved = await _outrider(fleet, "agents", "dial", f"127.0.0.1:{third.port}", "--instead-of", second)
    assert host.agent_id in moved
    await fleet.answers(host)
    await fleet.api.call("DELETE", f"/agents/{host.agent_id}")
    assert await fleet.api.call("GET", "/dials") == []
    dials = third.dials
    try:
        await third.until(lambda proxy: proxy.dials > dials + 1, _QUIET)
    except TimeoutError:
        return
    raise AssertionError("a host that was deleted is dialled on and on")


async def test_another_host_at_the_address_does_not_take_its_place(fleet: Fleet) -> None:
    """Not even one that the center knows: it has another key. The right one is linked when it is back."""
    proxy = await fleet.add_proxy()
    host = await fleet.add_waiting_host("right", proxy=proxy)
    address = f"127.0.0.1:{proxy.port}"
    shown = await _dial_comes_to(fleet, address, _linked)
    right_port = int(host.program.settings["link_listen"].rpartition(":")[2])
    other = await fleet.add_waiting_host("other")
    other_port = int(other.program.settings["link_listen"].rpartition(":")[2])
    await _dial_comes_to(fleet, f"127.0.0.1:{other_port}", _linked)
    proxy.lead_to(other_port)
    proxy.cut()
    refused = await _dial_comes_to(fleet, address, lambda dial: bool(dial["reason"]))
    assert refused["state"] == "dialling"
    await fleet.answers(other)
    proxy.lead_to(right_port)
    again = await _dial_comes_to(fleet, address, _linked)
    assert again["agent_id"] == shown["agent_id"] == host.agent_id
    await fleet.answers(host)


def _asked(listening: socket.socket, authority: Path, paths: Sequence[str]) -> dict[str, int]:
    """Let the center dial, and ask it for all of that; return the statuses. Blocks."""
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(_PATIENCE)
        line = line_for(FIRST)
        assert connection.recv(len(line), socket.MSG_WAITALL) == line
        context = ssl.create_default_context(cafile=str(authority))
        with context.wrap_socket(connection, server_hostname="127.0.0.1") as center:
            asking = HTTPConnection("center")
            asking.sock = center
            answers = {}
            for path in paths:
                asking.request("GET", path)
                answer = asking.getresponse()
                answer.read()
                answers[path] = answer.status
            return answers


async def test_who_is_dialled_gets_what_agents_need_and_nothing_else(fleet: Fleet) -> None:
    """The center shows its certificate; a stranger learns of the authority alone: no API, no page."""
    others = ["/api/agents", "/api/login", "/schema/openapi.json", "/healthz", "/api/agents/x/commands"]
    others += ["/api/bundles", "/api/agents/bundle", "/api/agents/bundle/x"]
    # These are for agents, who have to say which they are.
    asked = ["/api/agents/bundle/offer?python=3.11&platform=linux-x86_64", f"/api/agents/bundle/{'0' * 64}"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(_PATIENCE)
        await fleet.dial(listening.getsockname()[1])
        authority = fleet.center.home / "ca" / "ca.pem"
        answers = await asyncio.to_thread(_asked, listening, authority, ["/api/ca", *others, *asked])
    assert answers == {"/api/ca": 200, **dict.fromkeys(others, 404), **dict.fromkeys(asked, 401)}
