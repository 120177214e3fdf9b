"""The edge API of a real daemon, asked by curl: contract 003 field by field, joining, leaving, its guards."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from outrider import __version__
from outrider.agent.local.calls import MAX_BODY
from outrider.domain.enrolment import new_enrolment_key
from outrider.engines.telemetry.facts import read_facts
from outrider.protocol.messages import Heartbeat, Started
from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter
from tests.fixtures.curl import Reply, curl
from tests.fixtures.processes import free_port

_JSON: Final = {"Content-Type": "application/json"}
_STATUS: Final = {
    "running-microservices",
    "system-total-cpu",
    "memory-usage",
    "system-available-memory",
    "system-time",
    "disk-usage",
    "connection-to-controller",
    "cpu-usage",
    "messages-processed",
    "system-available-disk",
    "iofog-daemon",
}
_INFO: Final = {
    "log-file-directory",
    "iofog-controller",
    "cpu-usage-limit",
    "developer-mode",
    "post-diagnostics-frequency",
    "docker-url",
    "status-update-frequency",
    "memory-ram-limit",
    "log-disk-limit",
    "isolated-docker-containers-mode",
    "iofog-certificate",
    "ip-address",
    "network-interface",
    "fog-type",
    "disk-usage-limit",
    "iofog-uuid",
    "gps-mode",
    "message-storage-directory",
    "get-changes-frequency",
    "gps-coordinates",
    "log-rolling-file-count",
    "scan-devices-frequency",
    "log-level",
    "docker-pruning-frequency",
    "disk-threshold integer",
}
_KEYED: Final = (
    ("GET", "/v2/status"),
    ("GET", "/v2/info"),
    ("GET", "/v2/version"),
    ("POST", "/v2/provision"),
    ("DELETE", "/v2/deprovision"),
    ("POST", "/v2/config"),
    ("POST", "/v2/prune"),
)


class Edge:
    """A daemon with its edge API, and the calls of it."""

    def __init__(self, home: Path, **told: str) -> None:
        self.port = free_port()
        self.agent = AgentProcess(
            home,
            told.pop("center_url", ""),
            edge_api_listen=f"127.0.0.1:{self.port}",
            enrolment_key=told.pop("enrolment_key", ""),
            **told,
        )

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The key in the agent's folder."""
        return (self.agent.folder / "local-api").read_text().split("\n")[0]

    async def ready(self) -> None:
        """Return once it listens."""
        await self.agent.logged('a local API is open api="edge API"')

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call with the key, and with JSON where there is a body."""
        sent = {"Authorization": self.key, **(_JSON if body is not None else {}), **headers}
        data = () if body is None else ("--data-binary", json.dumps(body))
        return await curl(method, self.url + path, *data, headers=sent)

    async def status(self) -> str:
        """Say how it stands with its center."""
        return str((await self.ask("GET", "/v2/status")).json["connection-to-controller"])


@pytest_asyncio.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """An agent that belongs to no center."""
    edge = Edge(tmp_path / "agent")
    async with edge.agent:
        await edge.ready()
        yield edge


def _is_whole(reply: Reply) -> bool:
    return (
        reply.headers.get("content-length") == str(len(reply.body))
        and "transfer-encoding" not in reply.headers
    )


async def test_what_is_read_has_the_fields_of_the_seed(edge: Edge) -> None:
    """Status, info and version: every key, flat texts, whole answers of JSON with their length."""
    replies = {path: await edge.ask("GET", f"/v2/{path}") for path in ("status", "info", "version")}
    for reply in replies.values():
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert _is_whole(reply)
        assert all(isinstance(value, str) for value in reply.json.values())
    assert set(replies["status"].json) == _STATUS
    assert replies["status"].json["iofog-daemon"] == "RUNNING"
    assert replies["status"].json["connection-to-controller"] == "not provisioned"
    assert set(replies["info"].json) >= _INFO | {"message-storage-limit", "available-disk-threshold"}
    assert replies["info"].json["iofog-uuid"] == ""
    assert replies["version"].json == {"version": __version__}


async def test_the_checks_come_in_the_order_of_the_contract(edge: Edge) -> None:
    """Method before content type before key before body; errors are plain text."""
    for method, path in _KEYED:
        wrong = await curl("PUT", edge.url + path)
        assert (wrong.status, wrong.headers["allow"].split(", ")[0]) == (
            405,
            method if method != "HEAD" else "",
        )
        reads_body = path in {"/v2/provision", "/v2/config"}
        typed = _JSON if reads_body else {}
        for key in ({}, {"Authorization": "x" * 32}, {"Authorization": f"Bearer {edge.key}"}):
            refused = await curl(method, edge.url + path, headers={**typed, **key})
            assert (refused.status, refused.text) == (401, "Incorrect access token")
            assert refused.headers["content-type"].startswith("text/plain")
            assert _is_whole(refused)
        if reads_body:
            plain = {"Content-Type": "text/plain"}
            refused = await curl(method, edge.url + path, headers=plain)
            assert (refused.status, refused.text) == (400, "Incorrect content type text/plain")
            for body in ("", "{", "[]", "3", '{"a":', "\xff", "[" * 100_000):
                refused = await curl(
                    method,
                    edge.url + path,
                    "--data-binary",
                    body,
                    headers={**_JSON, "Authorization": edge.key},
                )
                assert (refused.status, refused.text) == (400, "Incorrect content/data")
    assert (await curl("GET", edge.url + "/v2/nothing")).status == 404


async def test_a_body_that_is_too_large_is_refused(edge: Edge, tmp_path: Path) -> None:
    """Above a mebibyte it is refused unread, whether its length is said or not."""
    large = tmp_path / "large"
    large.write_bytes(b" " * (MAX_BODY + 1))
    headers = {**_JSON, "Authorization": edge.key, "Expect": ""}
    for how in ({}, {"Transfer-Encoding": "chunked"}):
        reply = await curl(
            "POST", edge.url + "/v2/config", "--data-binary", f"@{large}", headers={**headers, **how}
        )
        assert reply.status == 413


async def test_options_apply_and_survive_a_restart(edge: Edge) -> None:
    """200 and {} for what is taken; the refused are named with their range; no known name is 400."""
    taken = await edge.ask("POST", "/v2/config", {"cpu-limit": "50", "logs-level": "debug"})
    assert (taken.status, taken.json) == (200, {})
    mixed = await edge.ask("POST", "/v2/config", {"disk-limit": "0", "logs-count": "7", "gps": "52.5,13.4"})
    assert (mixed.status, set(mixed.json)) == (200, {"disk-limit"})
    assert "1 to 1048576 GiB" in mixed.json["disk-limit"]
    for nothing in ({}, {"colour": "red"}):
        assert (await edge.ask("POST", "/v2/config", nothing)).status == 400
    assert stat.S_IMODE((edge.agent.folder / "configuration.json").stat().st_mode) == 0o600
    for again in (False, True):
        if again:
            await edge.agent.stop()
            edge.agent.forget_log()
            await edge.agent.start()
            await edge.ready()
        info = (await edge.ask("GET", "/v2/info")).json
        assert (info["cpu-usage-limit"], info["log-level"]) == ("50.00%", "debug")
        assert (info["log-rolling-file-count"], info["gps-coordinates"]) == ("7", "52.5,13.4")


async def test_prune_says_that_there_is_no_engine(edge: Edge) -> None:
    """503 with the reason, as text."""
    reply = await edge.ask("POST", "/v2/prune")
    assert (reply.status, "engine" in reply.text) == (503, True)


async def test_a_host_joins_and_leaves_while_the_daemon_runs(edge: Edge, center: FakeCenter) -> None:
    """Joining is answered once the center has accepted; leaving wipes keys and names; then it joins anew."""
    pid = edge.agent.pid
    missing = await edge.ask("POST", "/v2/provision", {})
    assert (missing.status, missing.text) == (400, "Missing required property 'provisioning-key'")
    key = new_enrolment_key(()).format()
    unset = await edge.ask("POST", "/v2/provision", {"provisioning-key": key})
    assert (unset.status, unset.json["status"]) == (500, "failed")
    assert (await edge.ask("POST", "/v2/config", {"controller-url": center.url})).json == {}
    joined = await edge.ask("POST", "/v2/provision", {"provisioning-key": key})
    assert (joined.status, set(joined.json)) == (200, {"uuid", "token"})
    hello = await center.linked()
    assert hello.identity.agent_id == joined.json["uuid"]
    record = json.loads((edge.agent.folder / "enrolment.json").read_text())
    assert joined.json["token"] not in record["agent_key"]
    await edge.agent.logged("state=CONNECTED")
    assert await edge.status() == "ok"
    assert (await edge.ask("GET", "/v2/info")).json["iofog-uuid"] == joined.json["uuid"]
    again = await edge.ask("POST", "/v2/provision", {"provisioning-key": key})
    assert (again.status, again.json) == (200, joined.json)
    elsewhere = new_enrolment_key(("A" * 43,)).format()
    assert (await edge.ask("POST", "/v2/provision", {"provisioning-key": elsewhere})).status == 409

    left = await edge.ask("DELETE", "/v2/deprovision")
    assert (left.status, left.json) == (
        200,
        {"message": "Success - tokens, identifiers and keys removed", "status": "success"},
    )
    kept = (edge.agent.folder / "enrolment.json").read_text()
    assert record["agent_key"] not in kept
    assert record["agent_id"] not in kept
    assert not (edge.agent.folder / "identity.key").exists()
    assert await edge.status() == "not provisioned"
    twice = await edge.ask("DELETE", "/v2/deprovision")
    assert (twice.status, twice.json) == (500, {"message": "Failure - not provisioned", "status": "failed"})

    anew = await edge.ask("POST", "/v2/provision", {"provisioning-key": new_enrolment_key(()).format()})
    assert anew.status == 200
    assert anew.json["uuid"] != joined.json["uuid"]
    assert anew.json["token"] != joined.json["token"]
    await center.linked(2)
    finished = await center.result(await center.execute("ping"))
    assert finished.exit_code in {None, 0}
    assert edge.agent.pid == pid


async def test_leaving_ends_what_runs_and_a_restart_does_not_bring_the_host_back(
    center: FakeCenter, tmp_path: Path
) -> None:
    """A host that joined with the key in its settings stays out: also after a restart and a failed try."""
    key = new_enrolment_key(()).format()
    edge = Edge(tmp_path / "agent", center_url=center.url, enrolment_key=key)
    async with edge.agent:
        await center.linked()
        running = await center.execute("shell", command="sleep 300")
        await center.until(lambda: any(isinstance(m, Started) and m.id == running for m in center.said))
        assert (await edge.ask("DELETE", "/v2/deprovision")).status == 200
        assert (await center.result(running)).state.value == "interrupted"
        refusing = center.enrol_answer
        center.enrol_answer = lambda _: _refusal()
        failed = await edge.ask("POST", "/v2/provision", {"provisioning-key": new_enrolment_key(()).format()})
        assert (failed.status, failed.json["status"], "no thanks" in failed.json["errorMessage"]) == (
            500,
            "failed",
            True,
        )
        center.enrol_answer = refusing
        asked = len(center.enrolments)
        await edge.agent.stop()
        edge.agent.forget_log()
        await edge.agent.start()
        await edge.agent.logged("service stays down")
        assert await edge.status() == "not provisioned"
        assert len(center.enrolments) == asked


def _refusal() -> web.Response:
    return web.json_response({"detail": "no thanks", "code": "unauthenticated"}, status=401)


async def test_a_center_that_is_away_is_told_at_once(edge: Edge) -> None:
    """Whoever types a key is not left waiting, and nothing is lost: the key can be typed again."""
    await edge.ask("POST", "/v2/config", {"controller-url": f"http://127.0.0.1:{free_port()}"})
    reply = await edge.ask("POST", "/v2/provision", {"provisioning-key": new_enrolment_key(()).format()})
    assert (reply.status, reply.json["status"]) == (500, "failed")
    assert "can't be reached" in reply.json["errorMessage"]
    assert await edge.status() == "not provisioned"


async def test_the_pace_of_readings_is_the_configured_one(center: FakeCenter, tmp_path: Path) -> None:
    """Every second instead of each ten, at once; with a long pace heartbeats go on without readings."""
    edge = Edge(tmp_path / "agent", center_url=center.url, enrolment_key=new_enrolment_key(()).format())
    async with edge.agent:
        await center.linked()
        await edge.ready()

        def beats() -> list[Heartbeat]:
            return [message for message in center.said if isinstance(message, Heartbeat)]

        assert (await edge.ask("POST", "/v2/config", {"status-frequency": "1"})).json == {}
        await center.until(lambda: sum(beat.readings is not None for beat in beats()) >= 3, seconds=8)
        assert (await edge.ask("POST", "/v2/config", {"status-frequency": "3600"})).json == {}
        seen = len(beats())
        center.heartbeat = 0.1
        await center.drop()
        await center.linked(2)
        await center.until(lambda: len(beats()) >= seen + 6)
        assert sum(beat.readings is not None for beat in beats()[seen:]) <= 2


async def test_the_pace_of_questions_is_the_configured_one(center: FakeCenter, tmp_path: Path) -> None:
    """Where no link gets through, the center is asked each second instead of every ten."""
    edge = Edge(tmp_path / "agent", center_url=center.url, enrolment_key=new_enrolment_key(()).format())
    async with edge.agent:
        await center.linked()
        await edge.ready()
        assert (await edge.ask("POST", "/v2/config", {"changes-frequency": "1"})).json == {}
        center.answer_with = 426
        await center.drop()
        await center.until(lambda: len(center.reports) >= 5, seconds=9)


async def test_a_full_store_leaves_commands_at_the_center(center: FakeCenter, tmp_path: Path) -> None:
    """Above disk-limit nothing is taken in; once there is room again, it is."""
    edge = Edge(tmp_path / "agent", center_url=center.url, enrolment_key=new_enrolment_key(()).format())
    async with edge.agent:
        await center.linked()
        await edge.ready()
        large = edge.agent.folder / "captures" / "large"
        with large.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 1024**3)
        assert (await edge.ask("POST", "/v2/config", {"disk-limit": "1"})).json == {}
        waiting = await center.execute("ping")
        await edge.agent.logged("commands can't be taken in")
        large.unlink()
        await center.result(waiting)


async def test_another_address_of_the_center_is_dialled_at_once(center: FakeCenter, tmp_path: Path) -> None:
    """controller-url moves a member, from the card that is named, without a restart."""
    edge = Edge(tmp_path / "agent", center_url=center.url, enrolment_key=new_enrolment_key(()).format())
    async with edge.agent:
        await center.linked()
        await edge.ready()
        pid = edge.agent.pid
        moved = center.url.replace("127.0.0.1", "localhost")
        given = {"controller-url": moved, "network-adapter": "lo"}
        assert (await edge.ask("POST", "/v2/config", given)).json == {}
        hello = await center.linked(2)
        assert hello.facts.ip == "127.0.0.1"
        assert json.loads((edge.agent.folder / "enrolment.json").read_text())["center_url"] == moved
        info = (await edge.ask("GET", "/v2/info")).json
        assert (info["iofog-controller"], info["ip-address"]) == (moved, "127.0.0.1")
        assert edge.agent.pid == pid


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "iofog:1"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:54321"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "iofog.evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
    ],
)
async def test_pages_of_elsewhere_get_nothing(edge: Edge, headers: Mapping[str, str], status: int) -> None:
    """Names of this host are answered; every other name and every foreign origin is refused, key or not."""
    assert (await edge.ask("GET", "/v2/version", **headers)).status == status


async def test_only_the_loopback_is_served(edge: Edge) -> None:
    """Nobody reaches it under the host's own address; the key is for its owner and group alone."""
    address = read_facts().ip
    assert not address.startswith("127.")
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(socket.create_connection, (address, edge.port), 5)
    assert stat.S_IMODE((edge.agent.folder / "local-api").stat().st_mode) == 0o640
    assert len(edge.key) == 32


_BYTES: Final = st.binary(max_size=30).map(lambda data: data.translate(None, b"\r\n"))
_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
_NAMES: Final = st.sampled_from(["cpu-limit", "gps", "logs-count", "fog-type", "isolated", "time-zone", "x"])
_BODIES: Final = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(_NAMES | st.text(max_size=10), _VALUES, max_size=4).map(
        lambda value: json.dumps(value).encode()
    ),
)
_PATHS: Final = st.one_of(
    st.sampled_from([b"/v2/status", b"/v2/info", b"/v2/config", b"/v2/config", b"/v2/prune"]),
    st.sampled_from([b"/v2/deprovision", b"/v2/provision", b"*", b"http://evil.example/v2/info", b""]),
    _BYTES.map(lambda data: b"/v2/" + data),
)
_METHODS: Final = st.sampled_from([b"GET", b"POST", b"POST", b"DELETE", b"HEAD", b"PUT", b"OPTIONS", b"get"])
_HEADERS: Final = st.lists(
    st.tuples(
        st.sampled_from([b"Content-Type", b"Authorization", b"Origin", b"Host", b"X-A"]) | _BYTES,
        st.sampled_from([b"application/json", b"KEY", b"KEY", b"a" * 300]) | _BYTES,
    ),
    max_size=4,
)
_CALLS: Final = st.tuples(_METHODS, _PATHS, _HEADERS, _BODIES)
_ALLOWED: Final = {200, 400, 401, 403, 404, 405, 503}
_EXAMPLES: Final = 100
_CALLS_EACH: Final = 10
_TIMES: Final = 10
_NO_HTTP: Final = 400
_GROWTH: Final = 6 * 1024 * 1024


def _written(
    key: bytes, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> bytes:
    """Put a call on the wire as it is, with a length that is true."""
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: localhost", b"Content-Length: %d" % len(body)]
    lines += [b"%s: %s" % (name, key if value == b"KEY" else value) for name, value in headers]
    return b"\r\n".join([*lines, b"", body])


def _answers(port: int, data: bytes, method: bytes, times: int) -> list[int]:
    """Send a call many times in a row and read what is answered, until the API hangs up."""
    statuses: list[int] = []
    address = ("127.0.0.1", port)
    with socket.create_connection(address, timeout=20) as connection, connection.makefile("rb") as answers:
        connection.sendall(data * times)
        # Each answer must tell by itself where it ends, or the next one is misread.
        while len(statuses) < times and (line := answers.readline()):
            assert line.startswith(b"HTTP/1."), line
            statuses.append(int(line.split()[1]))
            headers: dict[bytes, bytes] = {}
            while (header := answers.readline()) not in {b"\r\n", b""}:
                name, _, value = header.partition(b":")
                headers[name.lower()] = value.strip()
            length = int(headers[b"content-length"])
            if headers.get(b"connection") == b"close" or statuses[-1] == _NO_HTTP:
                break
            answers.read(0 if method == b"HEAD" else length)
    return statuses


async def test_whatever_is_sent_is_answered_cleanly(edge: Edge) -> None:
    """10,000 calls, with the key and without: each ends in a clean answer, and the daemon does not grow."""
    key = edge.key.encode()
    sizes: list[int] = []

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(_CALLS, min_size=_CALLS_EACH, max_size=_CALLS_EACH))
    def fuzz(calls: list[tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]]) -> None:
        for method, path, headers, body in calls:
            data = _written(key, method, path, headers, body)
            answered = _answers(edge.port, data, method, _TIMES)
            assert answered
            # Joining and leaving fail with 500: there is no center.
            assert set(answered) <= _ALLOWED or path in {b"/v2/deprovision", b"/v2/provision"}, answered
        sizes.append(_resident(edge.agent.pid))

    await asyncio.to_thread(fuzz)
    assert (await edge.ask("GET", "/v2/version")).status == 200
    assert "Traceback" not in edge.agent.log
    assert sizes[-1] - sizes[len(sizes) // 5] < _GROWTH


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
