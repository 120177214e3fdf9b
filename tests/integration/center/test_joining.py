"""The install script's route: who gets it, what is in it; and the lines that are told with a new key."""

import base64
import json
from pathlib import Path
from typing import Any

import aiohttp

from outrider.domain.enrolment import new_agent_key, new_enrolment_key
from tests.fixtures.api import Answer, Api
from tests.fixtures.center import own_center
from tests.fixtures.links import enrolment

_PATH = "/api/agents/install-script"
_HOST = "127.99.1.2"


async def _ask(api: Api, key: str | None, **headers: str) -> Answer:
    query = "" if key is None else f"?key={key.replace('+', '%2B')}"
    return await api.ask("GET", _PATH + query, role=None, headers=headers)


def _settings(script: bytes) -> Any:
    """What the installer in a script is told."""
    _, _, parts = script.decode().partition("printf '%s\\n' '")
    settings = parts.split("'")[4]
    return json.loads(base64.b64decode(settings))


async def _key(api: Api, **wishes: Any) -> str:
    made = await api.post("/api/enrolment-keys", wishes)
    key: str = made["key"]
    return key


async def test_a_living_key_gets_the_script(each_api: Api) -> None:
    """Text of a shell, which nothing between may keep; it knows the address it was asked at, and the key."""
    key = await _key(each_api)
    answer = await _ask(each_api, key)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/x-shellscript")
    assert answer.headers["Cache-Control"] == "no-store"
    assert _settings(answer.body) == {"center_url": each_api.url, "enrolment_key": key}
    assert answer.body == (await _ask(each_api, key)).body


async def test_no_key_or_a_dead_one_is_401(each_api: Api) -> None:
    """Missing, no key at all, unknown, revoked, used up by a host elsewhere, or no agent's."""
    revoked = await each_api.post("/api/enrolment-keys", {})
    await each_api.ask("DELETE", f"/api/enrolment-keys/{revoked['id']}")
    used = await _key(each_api)
    await each_api.post("/api/agents/enrol", enrolment(used), role=None)
    for key in (
        None,
        "",
        "nonsense",
        new_enrolment_key(()).format(),
        revoked["key"],
        used,
        new_agent_key(),
    ):
        answer = await _ask(each_api, key)
        assert (answer.status, answer.code) == (401, "unauthenticated"), key


async def test_a_host_that_has_joined_gets_it_again(each_api: Api) -> None:
    """Whoever pastes the line twice on a host is told that all is well, though the key is used up."""
    key = await _key(each_api)
    joined = enrolment(key)
    joined["facts"]["ip"] = _HOST
    await each_api.post("/api/agents/enrol", joined, role=None)
    connector = aiohttp.TCPConnector(local_addr=(_HOST, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        assert (await _ask(Api(session, each_api.url, {}), key)).status == 200
    assert (await _ask(each_api, key)).status == 401


async def test_an_agent_key_puts_that_agent_back(each_api: Api) -> None:
    """The script names the agent; once it is declined or deleted its key gets nothing."""
    asked = enrolment(await _key(each_api, approve=True))
    agent = await each_api.post("/api/agents/enrol", asked, role=None)
    answer = await _ask(each_api, asked["agent_key"])
    assert _settings(answer.body) == {
        "center_url": each_api.url,
        "agent_key": asked["agent_key"],
        "agent_id": agent["agent_id"],
        "label": agent["label"],
    }
    await each_api.post(f"/api/agents/{agent['agent_id']}/decline")
    assert (await _ask(each_api, asked["agent_key"])).status == 401
    await each_api.ask("DELETE", f"/api/agents/{agent['agent_id']}")
    assert (await _ask(each_api, asked["agent_key"])).status == 401


async def test_who_tries_many_keys_is_slowed_down(api: Api) -> None:
    """After twenty dead ones an address has to wait, and is told how long; living ones count nothing."""
    key = await _key(api)
    for _ in range(25):
        assert (await _ask(api, key)).status == 200
    for _ in range(20):
        assert (await _ask(api, "nonsense")).status == 401
    answer = await _ask(api, key)
    assert (answer.status, answer.code) == (429, "throttled")
    assert int(answer.headers["Retry-After"]) > 0


async def test_what_is_no_address_does_not_get_into_the_script(api: Api) -> None:
    """The Host header is the caller's word: with anything but a name and a port in it, it is refused."""
    key = await _key(api)
    for host in ("$(reboot)", "a'b", "a b", "x;y", '"'):
        answer = await _ask(api, key, Host=host)
        assert answer.status == 400, host


async def test_a_center_that_only_its_own_machine_reaches_says_so(tmp_path: Path) -> None:
    """No line is printed that could not work; the note says which setting is missing."""
    async with own_center(tmp_path) as own:
        install = (await own.api.post("/api/enrolment-keys", {}))["install"]
        assert (install["url"], install["curl"], install["python"]) == (None, None, None)
        assert "OUTRIDER_TLS_LISTEN" in install["note"]
        assert "OUTRIDER_PUBLIC_URL" in install["note"]
