"""The client API of a real daemon, asked by curl: seed 000 field by field, and what guards it."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.agent.local.calls import MAX_BODY
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.enrolment import new_enrolment_key
from outrider.engines.telemetry.facts import read_facts
from outrider.protocol.messages import Accepted, Finished, Heartbeat, Output, Profile, Started, TagsSet
from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter
from tests.fixtures.curl import Reply, curl
from tests.fixtures.processes import free_port

_CLIENT: Final = "/api/v3/client"
_TAGS: Final = "/api/v3/tags"
_GUARDED: Final = (
    ("GET", _CLIENT),
    ("PATCH", _CLIENT),
    ("GET", "/api/v3/runs"),
    ("GET", "/api/v3/runs/1"),
    ("GET", _TAGS),
    ("PATCH", _TAGS),
)


class Client:
    """A daemon with its client API, and the calls of it."""

    def __init__(self, home: Path, **told: str) -> None:
        self.port = free_port()
        self.token = ""
        told = {"client_api_enabled": "true", "client_api_port": str(self.port), **told}
        self.agent = AgentProcess(
            home, told.pop("center_url", ""), enrolment_key=told.pop("enrolment_key", ""), **told
        )

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}"

    async def ready(self) -> None:
        """Return once it listens, with the token of this start."""
        await self.agent.logged('a local API is open api="client API"')
        self.token = (await curl("GET", f"{self.url}/api/v3/token")).json["token"]

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call with the token in the header, and with JSON where there is a body."""
        data = () if body is None else ("--data-binary", json.dumps(body))
        return await curl(method, self.url + path, *data, headers={"X-Token": self.token, **headers})

    async def status(self) -> Any:
        """The answer of `GET /api/v3/client`."""
        reply = await self.ask("GET", _CLIENT)
        assert reply.status == 200
        return reply.json


@contextlib.asynccontextmanager
async def joined(center: FakeCenter, home: Path, **told: str) -> AsyncIterator[Client]:
    """An agent of this center."""
    key = new_enrolment_key(()).format()
    client = Client(home, center_url=center.url, enrolment_key=key, **told)
    async with client.agent:
        await center.linked()
        await client.ready()
        yield client


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """An agent that belongs to no center."""
    client = Client(tmp_path / "agent", label="web-01")
    async with client.agent:
        await client.ready()
        yield client


def _is_problem(reply: Reply, status: int) -> bool:
    return (
        reply.status == status
        and set(reply.json) == {"message", "code"}
        and _is_whole(reply)
        and all(isinstance(value, str) and value for value in reply.json.values())
    )


def _is_whole(reply: Reply) -> bool:
    return (
        reply.headers["content-length"] == str(len(reply.body))
        and reply.headers["content-type"] == "application/json"
        and "transfer-encoding" not in reply.headers
    )


async def test_the_status_has_the_fields_of_the_seed(client: Client) -> None:
    """Exactly the seed's fields and types; without a center: NOT_CONFIGURED, never seen, no address."""
    told = await client.status()
    assert list(told) == ["deviceid", "deviceidHex", "name", "paused", "server"]
    assert re.fullmatch(r"[A-Z2-7]{52}", told["deviceid"])
    assert re.fullmatch(r"[0-9a-f]{64}", told["deviceidHex"])
    assert (told["name"], told["paused"]) == ("web-01", False)
    assert told["server"] == {"addr": "", "last_seen": 0, "state": "NOT_CONFIGURED"}
    identity = json.loads((client.agent.folder / "identity.json").read_text())
    assert (told["deviceid"], told["deviceidHex"]) == (identity["device_id"], identity["device_id_hex"])


async def test_the_status_tells_of_the_center(center: FakeCenter, tmp_path: Path) -> None:
    """Its address without a scheme, the state by its word, when it was heard: a restart forgets nothing."""
    async with joined(center, tmp_path / "agent") as client:
        told = await client.status()
        assert told["server"]["addr"] == center.url.removeprefix("http://")
        assert told["server"]["state"] == "CONNECTED"
        assert told["server"]["last_seen"] > 1_700_000_000
        assert told["name"] == socket.gethostname()
        await client.agent.stop()
        await center.stop()
        client.agent.forget_log()
        await client.agent.start()
        await client.ready()
        await client.agent.logged("state=CONNECTING")
        again = await client.status()
        assert again["deviceid"] == told["deviceid"]
        assert again["server"]["state"] in {"CONNECTING", "NOT_CONNECTED"}
        assert again["server"]["last_seen"] >= told["server"]["last_seen"]


async def test_an_agent_that_waits_for_approval_says_so(center: FakeCenter, tmp_path: Path) -> None:
    """PENDING_APPROVAL while nobody has decided, DECLINED when it was turned away."""
    for approval, state in ((Approval.PENDING, "PENDING_APPROVAL"), (Approval.DECLINED, "DECLINED")):
        center.approval = approval
        async with joined(center, tmp_path / state) as client:
            assert (await client.status())["server"]["state"] == state
        center.hellos.clear()


async def test_the_token_guards_all_but_itself(client: Client) -> None:
    """26 characters of base32; in the query or in X-Token; missing or wrong is 401; new at each start."""
    token = client.token
    assert re.fullmatch(r"[A-Z2-7]{26}", token)
    for method, path in _GUARDED:
        for wrong in ("", "?token=", "?token=x", f"?token={token[:-1]}", f"?token={token}A"):
            assert _is_problem(await curl(method, client.url + path + wrong), 401)
        assert _is_problem(await curl(method, client.url + path, headers={"X-Token": token.lower()}), 401)
    assert (await curl("GET", f"{client.url}{_CLIENT}?token={token}")).status == 200
    assert (await curl("GET", client.url + _CLIENT, headers={"X-Token": token})).status == 200
    await client.agent.stop()
    client.agent.forget_log()
    await client.agent.start()
    await client.ready()
    assert client.token != token


async def test_runs_are_an_array(client: Client) -> None:
    """No job runs on this host yet: none are listed, and one that is asked for is not there."""
    everything = await client.ask("GET", "/api/v3/runs")
    assert (everything.status, everything.json) == (200, [])
    assert _is_whole(everything)
    for run in ("543", "abc", "%2F", "-1"):
        assert _is_problem(await client.ask("GET", f"/api/v3/runs/{run}"), 404)


async def test_tags_are_set_and_shown(client: Client) -> None:
    """The seed's shapes; names are raised, values replaced, an empty value is one; `{}` is the answer."""
    assert (await client.ask("GET", _TAGS)).json == {"tags": []}
    sent = {"tags": [{"name": "site", "value": "x1"}, {"name": "EMPTY", "value": ""}]}
    done = await client.ask("PATCH", _TAGS, sent)
    assert (done.status, done.body) == (200, b"{}")
    assert (await client.ask("PATCH", _TAGS, {"tags": [{"name": "SITE", "value": "x2"}]})).json == {}
    shown = [{"name": "EMPTY", "value": ""}, {"name": "SITE", "value": "x2"}]
    assert (await client.ask("GET", _TAGS)).json == {"tags": shown}
    await client.agent.kill()
    client.agent.forget_log()
    await client.agent.start()
    await client.ready()
    assert (await client.ask("GET", _TAGS)).json == {"tags": shown}


_WRONG_TAGS: Final[tuple[Any, ...]] = (
    {},
    {"tags": {}},
    {"tags": [{}]},
    {"tags": [{"name": "A"}]},
    {"tags": [{"name": "A", "value": 1}]},
    {"tags": [{"name": "A", "value": None}]},
    {"tags": [{"name": "1A", "value": "x"}]},
    {"tags": [{"name": "A B", "value": "x"}]},
    {"tags": [{"name": "", "value": "x"}]},
    {"tags": [{"name": "AGENT_NAME", "value": "x"}]},
    {"tags": [{"name": "agent_id", "value": "x"}]},
    {"tags": [{"name": "A", "value": "x" * 256}]},
    {"tags": [{"name": "A", "value": "line\nbreak"}]},
    {"tags": [{"name": f"N{number}", "value": ""} for number in range(65)]},
    [],
    "text",
)


async def test_wrong_tags_are_refused_and_none_is_set(client: Client) -> None:
    """400 with a sentence, and of several tags none is taken when one is wrong."""
    for body in _WRONG_TAGS:
        if isinstance(body, dict) and isinstance(body.get("tags"), list):
            body["tags"] = [{"name": "FINE", "value": "x"}, *body["tags"]]
        assert _is_problem(await client.ask("PATCH", _TAGS, body), 400)
    assert (await client.ask("GET", _TAGS)).json == {"tags": []}


async def test_a_tag_reaches_the_center_within_a_second(center: FakeCenter, tmp_path: Path) -> None:
    """Also while the agent is paused: tags manage it."""
    async with joined(center, tmp_path / "agent") as client:
        for value, paused in (("x1", False), ("x2", True)):
            await client.ask("PATCH", _CLIENT, {"paused": paused})
            await client.ask("PATCH", _TAGS, {"tags": [{"name": "SITE", "value": value}]})
            await center.until(lambda value=value: value in _tag_values(center))  # type: ignore[misc]  # bound


def _tag_values(center: FakeCenter) -> list[str | None]:
    return [write.value for said in center.said if isinstance(said, TagsSet) for write in said.writes]


async def test_pause_and_resume(client: Client) -> None:
    """By query and by body, as truths or as texts; the answer is `{}`, and the status says it."""
    for told, query, body in (
        (True, "paused=true", None),
        (False, "paused=false", None),
        (True, "", {"paused": True}),
        (True, "resume_timer=60", None),
        (False, "", {"paused": "false"}),
        (True, "paused=true&resume_timer=60", None),
        (False, "paused=false&resume_timer=60", None),
        (True, "", {"paused": True, "resume_timer": 60}),
    ):
        done = await client.ask("PATCH", f"{_CLIENT}?{query}", body)
        assert (done.status, done.body) == (200, b"{}")
        assert _is_whole(done)
        assert (await client.status())["paused"] is told


async def test_a_pause_ends_by_its_timer_or_with_the_process(client: Client) -> None:
    """After its seconds the agent goes on; a restart ends a pause, too."""
    await client.ask("PATCH", _CLIENT, {"paused": True, "resume_timer": 1})
    await client.agent.logged("paused for_seconds=1")
    await client.agent.logged("the time of the pause is over")
    assert (await client.status())["paused"] is False
    await client.ask("PATCH", _CLIENT, {"paused": True})
    client.agent.forget_log()
    await client.ask("PATCH", _CLIENT, {"restart": True})
    await client.ready()
    assert (await client.status())["paused"] is False


_WRONG_ORDERS: Final[tuple[tuple[str, Any], ...]] = (
    ("", None),
    ("", {}),
    ("other=1", None),
    ("paused=maybe", None),
    ("paused=", None),
    ("paused=1", None),
    ("", {"paused": 1}),
    ("", {"paused": None}),
    ("", {"paused": [True]}),
    ("resume_timer=60", None),
    ("paused=true&resume_timer=-1", None),
    ("paused=true&resume_timer=0", None),
    ("paused=true&resume_timer=1.5", None),
    ("paused=true&resume_timer=9999999999", None),
    ("paused=true&resume_timer=٣", None),
    ("", {"paused": True, "resume_timer": True}),
    ("", {"paused": True, "resume_timer": 1e400}),
    ("paused=true", {"restart": "now"}),
)


async def test_wrong_orders_are_refused_and_nothing_is_done(client: Client) -> None:
    """400, and of several orders none is carried out when one is wrong."""
    for query, body in _WRONG_ORDERS:
        assert _is_problem(await client.ask("PATCH", f"{_CLIENT}?{query}", body), 400)
    assert (await client.status())["paused"] is False


async def test_a_pause_holds_all_work_and_all_that_it_says(center: FakeCenter, tmp_path: Path) -> None:
    """Nothing but heartbeats that say paused; what ran ends and is told afterwards; nothing new is begun."""
    center.heartbeat = 0.2
    async with joined(center, tmp_path / "agent") as client:
        runs = await center.execute("shell", command="echo one; sleep 1; echo two")
        await center.started(runs)
        await client.ask("PATCH", _CLIENT, {"paused": True})
        await center.until(lambda: _last_beat(center).paused)
        quiet_from = len(center.said)
        refused = await center.execute("shell", command="echo never")
        await client.agent.logged("commands came before this agent may run any")
        beats = sum(isinstance(said, Heartbeat) for said in center.said)
        await center.until(lambda: sum(isinstance(said, Heartbeat) for said in center.said) > beats + 8)
        assert all(
            isinstance(said, Heartbeat) and said.paused and said.readings is None
            for said in center.said[quiet_from:]
        )
        await client.ask("PATCH", _CLIENT, {"paused": False})
        finished = await center.result(runs)
        assert finished.state is CommandState.SUCCEEDED
        assert center.stored(runs, 1) == b"one\ntwo\n"
        await center.until(lambda: not _last_beat(center).paused)
        assert not any(
            refused in said.ids if isinstance(said, Accepted) else said.id == refused
            for said in center.said
            if isinstance(said, Accepted | Started | Finished | Output)
        )
        await center.result(await center.execute("ping"))


def _last_beat(center: FakeCenter) -> Heartbeat:
    beats = [said for said in center.said if isinstance(said, Heartbeat)]
    return beats[-1] if beats else Heartbeat(number=0, time=0.0)


async def test_a_paused_agent_that_dials_anew_says_so_at_once(center: FakeCenter, tmp_path: Path) -> None:
    """Its hello does, and nothing that waits is told before the pause is over."""
    async with joined(center, tmp_path / "agent") as client:
        runs = await center.execute("shell", command="sleep 0.3")
        await center.started(runs)
        await client.ask("PATCH", _CLIENT, {"paused": True})
        await center.until(lambda: _last_beat(center).paused)
        center.hellos.clear()
        await center.drop()
        hello = await center.linked()
        assert hello.paused
        center.heartbeat = 0.1
        beats = sum(isinstance(said, Heartbeat) for said in center.said)
        await center.say(Profile(version=2, params={"client_api_enabled": "true"}, optional=True))
        await center.until(lambda: sum(isinstance(said, Heartbeat) for said in center.said) >= beats)
        assert runs not in center.results
        await client.ask("PATCH", _CLIENT, {"paused": False})
        assert (await center.result(runs)).state is CommandState.SUCCEEDED


async def test_a_restart_in_place_keeps_what_runs(center: FakeCenter, tmp_path: Path) -> None:
    """The process stays, the token is another, and a command that ran has run on."""
    async with joined(center, tmp_path / "agent") as client:
        pid, token = client.agent.pid, client.token
        runs = await center.execute("shell", command="sleep 1; echo done")
        await center.started(runs)
        client.agent.forget_log()
        assert (await client.ask("PATCH", _CLIENT, {"restart": True})).body == b"{}"
        await client.ready()
        assert (client.agent.pid, client.token == token) == (pid, False)
        assert (await center.result(runs)).state is CommandState.SUCCEEDED
        assert center.stored(runs, 1) == b"done\n"


async def test_the_profile_opens_moves_and_closes_it(center: FakeCenter, tmp_path: Path) -> None:
    """Without a restart: off by default, then on, on another port, without the token, and off again."""
    first, second = free_port(), free_port()
    key = new_enrolment_key(()).format()
    client = Client(tmp_path / "agent", center_url=center.url, enrolment_key=key)
    client.agent = AgentProcess(tmp_path / "agent", center.url, enrolment_key=key)
    async with client.agent:
        await center.linked()
        params = {"client_api_enabled": "true", "client_api_port": str(first)}
        await center.say(Profile(version=1, params=params, optional=True))
        client.port = first
        await client.ready()
        token = client.token
        client.agent.forget_log()
        await center.say(Profile(version=2, params={**params, "client_api_port": str(second)}, optional=True))
        client.port = second
        await client.ready()
        assert client.token == token
        await _refuses(first)
        open_to_all = {**params, "client_api_port": str(second), "client_api_token_auth": "false"}
        await center.say(Profile(version=3, params=open_to_all, optional=True))
        await client.agent.logged("version=3")
        assert (await curl("GET", client.url + _CLIENT)).status == 200
        await center.say(Profile(version=4, params={}, optional=True))
        await client.agent.logged(f'a local API is closed api="client API" at=127.0.0.1:{second}')
        await _refuses(second)


async def _refuses(port: int) -> None:
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port), 5)


async def test_a_taken_port_is_reported_and_had_once_it_is_free(tmp_path: Path) -> None:
    """The agent carries on without the API, says why, and opens it when the port is free."""
    client = Client(tmp_path / "agent")
    with socket.create_server(("127.0.0.1", client.port)):
        await client.agent.__aenter__()
        try:
            await client.agent.logged("a local API can't listen")
        except BaseException:
            await client.agent.__aexit__(None, None, None)
            raise
    try:
        await client.ready()
        assert (await client.status())["server"]["state"] == "NOT_CONFIGURED"
    finally:
        await client.agent.__aexit__(None, None, None)


async def test_wrong_calls_are_told_in_json(client: Client) -> None:
    """Unknown path 404, wrong method 405 with Allow, no JSON 400, too long 413: always message and code."""
    assert _is_problem(await client.ask("GET", "/api/v3/nothing"), 404)
    assert _is_problem(await client.ask("GET", "/"), 404)
    wrong = await client.ask("POST", _CLIENT)
    assert _is_problem(wrong, 405)
    assert {"GET", "PATCH"} <= set(wrong.headers["allow"].split(", "))
    assert (await client.ask("DELETE", "/api/v3/token")).headers["allow"] == "GET, HEAD"
    for body in ("{", "[]", "3", '{"a":', "\xff", "[" * 100_000):
        reply = await curl(
            "PATCH", client.url + _TAGS, "--data-binary", body, headers={"X-Token": client.token}
        )
        assert _is_problem(reply, 400)
    kind = {"X-Token": client.token, "Content-Type": "application/x-www-form-urlencoded"}
    odd = await curl("PATCH", client.url + _CLIENT, "-d", '{"paused": false}', headers=kind)
    assert odd.status == 200
    for encoding in ({}, {"Transfer-Encoding": "chunked"}):
        for size, status in ((MAX_BODY, 400), (MAX_BODY + 1, 413)):
            long = client.agent.folder.parent / "long"
            long.write_bytes(b" " * (size - 1) + b"x")
            reply = await curl(
                "PATCH",
                client.url + _CLIENT,
                "--data-binary",
                f"@{long}",
                headers={"X-Token": client.token, **encoding},
            )
            assert _is_problem(reply, status)
    assert _is_problem(await client.ask("GET", f"{_CLIENT}?{'x' * 10_000}"), 400)


_CALLERS: Final[tuple[tuple[Mapping[str, str], int], ...]] = (
    ({"Host": "localhost:3840"}, 200),
    ({"Host": "LOCALHOST"}, 200),
    ({"Host": "127.0.0.1"}, 200),
    ({"Host": "[::1]:3840"}, 200),
    ({"Host": "evil.example:3840"}, 403),
    ({"Host": "localhost.evil.example"}, 403),
    ({"Host": "127.0.0.1.evil.example"}, 403),
    ({"Host": "iofog"}, 403),
    ({"Host": "localhost:x"}, 403),
    ({"Host": "[::1"}, 403),
    ({"Host": ""}, 403),
    ({"Host": "localhost:3840", "Origin": "http://localhost:3840"}, 200),
    ({"Host": "localhost:3840", "Origin": "http://127.0.0.1:3840"}, 200),
    ({"Host": "localhost:3840", "Origin": "http://localhost:9000"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "https://localhost"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "file://"}, 403),
)


async def test_pages_of_elsewhere_get_nothing(client: Client) -> None:
    """Neither a page with a name that leads here nor one of another origin, and not even the token."""
    for headers, status in _CALLERS:
        assert (await client.ask("GET", _CLIENT, **headers)).status == status
        token = await curl("GET", f"{client.url}/api/v3/token", headers=headers)
        assert token.status == status
        assert "access-control-allow-origin" not in token.headers
        assert token.headers["cache-control"] == "no-store"


async def test_only_the_loopback_is_served(client: Client) -> None:
    """Nobody reaches it under the host's own address."""
    address = read_facts().ip
    assert not address.startswith("127.")
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(socket.create_connection, (address, client.port), 5)


_TEXT: Final = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
_VALUES: Final = st.recursive(
    st.none() | st.just("false") | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
_BODIES: Final = st.one_of(
    st.just(b""),
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(["paused", "resume_timer", "restart", "tags", "name", "value"])
        | st.text(max_size=10),
        _VALUES,
        max_size=4,
    ).map(lambda value: json.dumps(value).encode()),
)
_PATHS: Final = st.one_of(
    st.sampled_from(["/api/v3/token", _CLIENT, "/api/v3/runs", "/api/v3/runs/1", _TAGS]),
    _TEXT.map(lambda text: f"/api/v3/{text}"),
)
_CALLS: Final = st.tuples(
    st.sampled_from(["GET", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS", "QUERY"]),
    _PATHS,
    st.sampled_from(["", "?token=", "?token=TOKEN&paused=", "?%ff=%00&token=TOKEN", "?resume_timer=1"])
    | _TEXT,
    st.dictionaries(
        st.sampled_from(["Content-Type", "Origin", "X-Token", "Expect", "Range", "X-A", "Cookie"]),
        st.sampled_from(["TOKEN", "application/json", "null", "100-continue"]) | _TEXT.map(str.strip),
        max_size=3,
    ),
    _BODIES,
)
_EXAMPLES: Final = 100
_CALLS_EACH: Final = 10
_TIMES: Final = 10
_CLEAN: Final = {200, 400, 401, 403, 404, 405, 413, 417}


async def test_ten_thousand_wild_calls_are_answered_cleanly(client: Client) -> None:
    """Whatever is asked, the answer is JSON with a status that says so; nothing breaks, nothing piles up."""

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(calls=st.lists(_CALLS, min_size=_CALLS_EACH, max_size=_CALLS_EACH))
    def ask(calls: list[tuple[str, str, str, dict[str, str], bytes]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)
        try:
            for method, path, query, headers, body in calls:
                target = (path + query).replace("TOKEN", client.token).replace("#", "")
                sent = {name: value.replace("TOKEN", client.token) for name, value in headers.items()}
                for _ in range(_TIMES):
                    connection.request(method, target, body=body or None, headers=sent)
                    answer = connection.getresponse()
                    content = answer.read()
                    assert answer.status in _CLEAN, (method, target, sent, body, content)
                    assert method == "HEAD" or isinstance(json.loads(content), dict | list)
        finally:
            connection.close()

    before = _memory_of(client.agent.pid)
    await asyncio.to_thread(ask)
    assert (await client.status())["paused"] is False
    assert "Traceback" not in client.agent.log
    assert _memory_of(client.agent.pid) - before < 8 * 1024 * 1024


async def test_what_is_no_http_is_answered_and_closed(client: Client) -> None:
    """Random bytes, broken heads and chunks: a 400 in the words of the API, or the connection is closed."""

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        data=st.one_of(
            st.binary(min_size=1, max_size=300),
            st.binary(max_size=60).map(lambda b: b"PATCH /api/v3/tags HTTP/1.1\r\n" + b + b"\r\n\r\n"),
            st.binary(max_size=60).map(
                lambda b: (
                    b"PATCH /api/v3/tags HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b
                )
            ),
        )
    )
    def send(data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", client.port), 20) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            # A connection that is reset has been closed as well.
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(65536):
                    answer += piece
        if answer:
            assert re.match(rb"HTTP/1\.[01] 4\d\d ", answer), answer

    await asyncio.to_thread(send)
    assert (await client.status())["paused"] is False
    assert "Traceback" not in client.agent.log


def _memory_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the daemon is gone")
