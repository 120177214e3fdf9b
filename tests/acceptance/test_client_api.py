"""The client API of a host of a real center: restarts under load, and a pause that everybody sees."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from tests.acceptance import errands
from tests.acceptance.fleet import Fleet, Host
from tests.fixtures.curl import Reply, curl
from tests.fixtures.processes import free_port

_RESTARTS: Final = 2
_CLIENT: Final = "/api/v3/client"
_TAGS: Final = "/api/v3/tags"


class Client:
    """The client API of one host, asked by programs on it; each call is tried until somebody answers."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    async def token(self) -> str:
        """The token of the process that runs now."""
        told: str = (await self._answered("GET", "/api/v3/token")).json["token"]
        return told

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call with the token that holds now; what was refused only for an old token is asked again."""
        data = () if body is None else ("--data-binary", json.dumps(body))
        while True:
            reply = await self._answered(method, path, *data, headers={"X-Token": await self.token()})
            if reply.status != 401:
                assert reply.status == 200, reply
                return reply.json

    async def restart(self) -> None:
        """Restart the agent; returns when the next image of it answers."""
        token = await self.token()
        await self.ask("PATCH", _CLIENT, {"restart": True})
        while True:
            if await self.token() != token:
                return

    async def _answered(
        self, method: str, path: str, *data: str, headers: dict[str, str] | None = None
    ) -> Reply:
        options = ("--retry", "100", "--retry-connrefused", "--retry-all-errors", "--retry-delay", "1")
        return await curl(method, self.url + path, *options, *data, headers=headers)


async def _host(fleet: Fleet) -> tuple[Host, Client]:
    port = free_port()
    host = await fleet.add_host(
        "host", max_parallel="8", client_api_enabled="true", client_api_port=str(port)
    )
    return host, Client(port)


async def test_a_restart_by_the_api_loses_nothing_that_was_accepted(fleet: Fleet) -> None:
    """Under load: every command runs once and to its end, every tag whose setting was answered is there."""
    host, client = await _host(fleet)
    pid = host.program.pid
    accepted: dict[str, str] = {}

    async def set_tags(names: Sequence[str]) -> None:
        for name in names:
            body = {"tags": [{"name": name, "value": "x"}]}
            assert await client.ask("PATCH", _TAGS, body) == {}
            accepted[name] = "x"

    for number in range(_RESTARTS):
        work = [errands.steady(12, 0.2, lines=50, exit_code=code) for code in range(3)]
        work += [errands.nap(2.0), errands.steady(4, 0.5, lines=9000)]
        work += [errands.mixed(fleet.rng, each) for each in range(10)]
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(fleet.send_all((host, errand) for errand in work))
            group.create_task(set_tags([f"T{number}_{each}" for each in range(8)]))
            await fleet.reaches(fleet.moments(1, len(work))[0])
            await client.restart()
        await fleet.answers(host)
        await fleet.assert_done(sending.result())
    assert host.program.pid == pid
    shown = {tag["name"]: tag["value"] for tag in (await client.ask("GET", _TAGS))["tags"]}
    assert shown == accepted


async def test_a_pause_is_seen_at_the_center_and_holds_its_commands(fleet: Fleet) -> None:
    """Paused on the host, shown at the center; what is sent meanwhile runs once when the pause is over."""
    host, client = await _host(fleet)
    runs = await fleet.send_all([(host, errands.steady(10, 0.1, lines=20))])
    await fleet.journal.until_begun([each.id for each in runs])
    assert await client.ask("PATCH", f"{_CLIENT}?paused=true&resume_timer=3") == {}
    assert (await client.ask("GET", _CLIENT))["paused"] is True
    sent = await fleet.send_all([(host, errands.nap(0.1)), (host, errands.steady(2, 0.1, lines=3))])
    await fleet.assert_done([*runs, *sent])
    assert (await client.ask("GET", _CLIENT))["paused"] is False
