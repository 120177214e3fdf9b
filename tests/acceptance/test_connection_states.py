"""The eight connection states, each brought about for real, as both local APIs and the center tell them."""

import asyncio
import json
from typing import Final

import aiohttp

from outrider.domain.connection_states import ConnectionState as S
from tests.acceptance.fleet import Fleet, Host
from tests.acceptance.install_lines import new_line
from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost
from tests.fixtures.processes import free_port

_PATIENCE: Final = 60.0
_LOOK_AGAIN: Final = 0.02
_EDGE_WORDS: Final = {S.CONNECTED: "ok", S.NOT_CONFIGURED: "not provisioned"}


class Watched:
    """A host whose two local APIs are asked where it stands."""

    def __init__(self, fleet: Fleet, name: str, **settings: str) -> None:
        self._ports = (free_port(), free_port())
        self.host: Host = fleet.new_host(
            name,
            client_api_enabled="true",
            client_api_port=str(self._ports[0]),
            edge_api_listen=f"127.0.0.1:{self._ports[1]}",
            **settings,
        )

    async def states(self) -> tuple[str, str]:
        """Ask the client API and the edge API."""
        client, edge = (f"http://127.0.0.1:{port}" for port in self._ports)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{client}/api/v3/token") as answer:
                token = (await answer.json())["token"]
            async with http.get(f"{client}/api/v3/client", params={"token": token}) as answer:
                state = (await answer.json())["server"]["state"]
            key = (self.host.inside / "local-api").read_text().splitlines()[0]
            async with http.get(f"{edge}/v2/status", headers={"Authorization": key}) as answer:
                word = (await answer.json())["connection-to-controller"]
        return state, word

    async def comes_to(self, state: S) -> None:
        """Return once both APIs tell of this state."""
        wanted = (state.value, _EDGE_WORDS.get(state, "not connected"))
        seen: set[tuple[str, str]] = set()
        try:
            async with asyncio.timeout(_PATIENCE):
                while wanted not in seen:
                    await asyncio.sleep(_LOOK_AGAIN)
                    try:
                        seen.add(await self.states())
                    except (aiohttp.ClientError, FileNotFoundError):
                        continue  # it is just starting
        except TimeoutError:
            raise AssertionError(f"not {wanted} but {seen}") from None


async def test_seven_states_with_a_network(fleet: Fleet) -> None:
    """Told of no center, waiting for approval, let in, turned away, at a center that is silent, then gone.

    The last one waits for the center to dial it.
    """
    alone = Watched(fleet, "alone")
    await alone.host.program.start()
    await alone.comes_to(S.NOT_CONFIGURED)
    proxy = await fleet.add_proxy()
    key = await fleet.api.new_key(approve=False)
    watched = Watched(fleet, "watched", center_url=fleet.url(proxy), enrolment_key=key)
    await watched.host.program.start()
    await watched.comes_to(S.PENDING_APPROVAL)
    agent_id = json.loads((watched.host.inside / "enrolment.json").read_bytes())["agent_id"]
    assert (await fleet.api.agent(agent_id))["status"] == "pending"
    await fleet.api.call("POST", f"/agents/{agent_id}/approve")
    await watched.comes_to(S.CONNECTED)
    assert (await fleet.api.agent(agent_id))["status"] == "online"
    await fleet.api.call("POST", f"/agents/{agent_id}/decline")
    await watched.comes_to(S.DECLINED)
    assert (await fleet.api.agent(agent_id))["status"] == "declined"
    proxy.stall()
    proxy.cut()
    await watched.comes_to(S.CONNECTING)
    proxy.refuse(on=True)
    proxy.cut()
    await watched.comes_to(S.NOT_CONNECTED)
    waiting = Watched(
        fleet,
        "waiting",
        center_url=fleet.url(tls=True),
        enrolment_key=await fleet.api.new_key(),
        link_listen=f"127.0.0.1:{(port := free_port())}",
    )
    await waiting.host.program.start()
    await waiting.comes_to(S.WAITING_FOR_INCOMING_CONNECTION)
    await fleet.dial(port)
    await waiting.comes_to(S.CONNECTED)
    await fleet.center.stop()
    await waiting.comes_to(S.WAITING_FOR_INCOMING_CONNECTION)


async def test_without_a_network_an_agent_is_stopped(bare_api: Api, bare_host: BareHost) -> None:
    """The cable of a host is pulled out: STOPPED at once; put back in, it is connected again, by itself."""
    await bare_host.sh(await new_line(bare_api))
    standing = bare_host.root / "var/lib/outrider/agent/standing.json"
    for state in (S.CONNECTED, S.STOPPED, S.CONNECTED):
        if state is S.STOPPED:
            await bare_host.unplug()
        async with asyncio.timeout(_PATIENCE):
            while True:
                said = json.loads(standing.read_bytes())
                if said["state"] == state.value:
                    break
                await asyncio.sleep(_LOOK_AGAIN)
        if state is S.STOPPED:
            assert said["reason"] == "this host has no network"
            await bare_host.plug_in()
