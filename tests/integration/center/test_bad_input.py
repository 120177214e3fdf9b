"""What people and scripts get wrong over HTTP: a clear error with its code, and nothing is hurt."""

import asyncio
import contextlib
import gzip
from typing import Any, Final

import pytest

from outrider.center.http.server import MAX_HEAD
from tests.fixtures.api import Api
from tests.fixtures.center import RunningCenter
from tests.fixtures.links import enrol

MAX_BODY: Final = 1024 * 1024
MAX_REPORT: Final = 64 * 1024


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "shel", "params": {}}, "unknown_type"),
        ({"type": "", "params": {}}, "invalid"),
        ({"type": 1}, "invalid"),
        ({}, "invalid"),
        ({"type": "ping", "prams": {}}, "invalid"),
        ({"type": "ping", "params": []}, "invalid"),
        ({"type": "ping", "params": {"x": 1}}, "bad_params"),
        ({"type": "shell", "params": {}}, "bad_params"),
        ({"type": "shell", "params": {"command": 5}}, "bad_params"),
        ({"type": "shell", "params": {"command": "x", "timeout": 0}}, "bad_params"),
        ({"type": "shell", "params": {"command": "x", "timeout": 10**400}}, "bad_params"),
        ({"type": "shell", "params": {"command": "x", "env": {"1A": ""}}}, "bad_params"),
        ({"type": "shell", "params": {"command": "x", "env": {"A": "x" * 40_000}}}, "bad_params"),
        ({"type": "ping", "ttl": 0}, "invalid"),
        ({"type": "ping", "ttl": 10**9}, "invalid"),
    ],
)
async def test_a_bad_command_is_400(api: Api, body: dict[str, Any], code: str) -> None:
    """Unknown types list the known ones, bad parameters name the field, the rest says what is wrong."""
    agent = await enrol(api)
    answer = await api.ask("POST", f"{agent.path}/commands", body, role="operator")
    assert (answer.status, answer.code) == (400, code)
    fields = answer.json["fields"]
    if code == "unknown_type":
        assert set(fields["known"]) >= {"shell", "script", "ping", "system_info"}
    if code == "bad_params":
        assert fields["field"]
        assert fields["reason"]
    assert await api.get(f"{agent.path}/commands") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"type": "ping"} x',
        b"[" * 100_000,
        b'{"type":"ping","params":' + b'{"a":' * 50_000,
        b'{"type":"\\ud800"}',
    ],
)
async def test_a_broken_body_is_400(api: Api, body: bytes) -> None:
    """What is not JSON, or JSON of another shape, is refused by every route that takes a body."""
    agent = await enrol(api)
    paths = ["/api/login", "/api/enrolment-keys", "/api/agents/enrol", f"{agent.path}/commands"]
    for path in paths:
        answer = await api.ask("POST", path, body=body)
        assert (answer.status, answer.code) == (400, "invalid"), path
    answer = await api.ask("PATCH", agent.path, body=body)
    assert (answer.status, answer.code) == (400, "invalid")


async def test_a_broken_report_is_400_and_a_broken_key_is_not_looked_at_first(api: Api) -> None:
    """A report is read after its body: broken JSON is 400, a right body with a wrong key 403."""
    agent = await enrol(api)
    headers = {"X-Agent-Key": agent.key}
    broken = await api.ask("POST", f"{agent.path}/report", body=b"{", role=None, headers=headers)
    assert (broken.status, broken.code) == (400, "invalid")
    for body in ({"uptime_s": "x"}, {"results": [{"id": "x"}]}, {"results": [{"id": "x", "state": "gone"}]}):
        answer = await agent.report(api, **body)
        assert (answer.status, answer.code) == (400, "invalid")
    huge = await agent.report(api, uptime_s=1e300, cpu_percent=-1e300)
    assert huge.status in (200, 400)
    assert (await api.ask("GET", agent.path)).status == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_another_content_type_is_no_fault_of_ours(api: Api, content_type: str) -> None:
    """A body is read as JSON whatever it is called, or refused; never a 5xx."""
    agent = await enrol(api)
    answer = await api.ask(
        "POST", f"{agent.path}/commands", body=b'{"type":"ping"}', headers={"Content-Type": content_type}
    )
    assert answer.status in (200, 400, 415)


async def test_a_body_that_is_too_large_is_413(api: Api) -> None:
    """More than 1 MiB, or 64 KiB for a report, told or found out on the way; just as much is read."""
    agent = await enrol(api)
    headers = {"X-Agent-Key": agent.key}
    for path, limit in ((f"{agent.path}/commands", MAX_BODY), (f"{agent.path}/report", MAX_REPORT)):
        answer = await api.ask("POST", path, body=b" " * (limit + 1), headers=headers)
        assert (answer.status, answer.code) == (413, "too_large"), path
        whole = b"{}" + b" " * (limit - 2)
        answer = await api.ask("POST", path, body=whole, headers=headers)
        assert answer.status == (200 if path.endswith("report") else 400), path

        async def chunks(size: int = limit) -> Any:
            for _ in range(size // 4096 + 1):
                yield b" " * 4096

        headers_sent = {**api.bearer("admin"), **headers, "Content-Type": "application/json"}
        async with api.session.post(api.url + path, data=chunks(), headers=headers_sent) as response:
            assert response.status == 413


async def test_a_packed_body_is_not_unpacked(api: Api) -> None:
    """Nobody makes a small request large: a compressed body is not JSON."""
    agent = await enrol(api)
    packed = gzip.compress(b" " * (64 * MAX_BODY))
    headers = {"Content-Encoding": "gzip"}
    answer = await api.ask("POST", f"{agent.path}/commands", body=packed, headers=headers)
    assert answer.status in (400, 415)


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api/nowhere",
        "/api/agents/agent_",
        "/api/agents/%00",
        "/api/agents/" + "x" * 5000,
        "/api/agents/..%2f..%2fetc%2fpasswd",
        "/api/agents/%ff%fe",
        "/api/agents/'%3B drop table agents",
        "/api/agents/agent_000000000000/commands/%00",
        "/api/agents/agent_000000000000/commands/cmd_x/stream",
    ],
)
async def test_an_odd_address_is_400_or_404(each_api: Api, path: str) -> None:
    """Unknown paths and malformed ids: a problem document, also for who may do everything."""
    answer = await each_api.ask("GET", path, role="super_admin")
    assert (answer.status, answer.code) in ((404, "not_found"), (400, "invalid"))


async def test_a_wrong_method_says_which_ones_are_right(api: Api) -> None:
    """405 with `Allow`."""
    answer = await api.ask("PUT", "/api/agents")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("value", ["", "x" * 201])
async def test_a_bad_idempotency_key_is_400(api: Api, value: str) -> None:
    """The key is 1 to 200 characters; an empty one would be everybody's."""
    agent = await enrol(api)
    answer = await api.ask(
        "POST", f"{agent.path}/commands", {"type": "ping"}, headers={"Idempotency-Key": value}
    )
    assert (answer.status, answer.code) == (400, "invalid")


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "9" * 25, "²"])
async def test_a_bad_event_position_is_400(api: Api, header: str) -> None:
    """What is no position of the event log is refused by name."""
    answer = await api.ask("GET", "/api/events", headers={"Last-Event-ID": header})
    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.json["fields"]["field"] == "Last-Event-ID"


# --- below HTTP's surface


async def _raw(center: RunningCenter, *pieces: bytes) -> bytes:
    """Write bytes and read until the center closes."""
    host, _, port = center.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(60):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    except (ConnectionResetError, BrokenPipeError):
        return b"reset"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            await writer.wait_closed()


async def test_a_head_that_is_too_large_is_431(center: RunningCenter) -> None:
    """Headers beyond 64 KiB end the connection; the center reads no more of them."""
    line = b"X-Filler: " + b"x" * 8000 + b"\r\n"
    answer = await _raw(center, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", *[line] * (MAX_HEAD // 8000 + 40))
    assert answer == b"reset" or answer.startswith(b"HTTP/1.1 431 ")


async def test_a_large_head_that_fits_is_served(center: RunningCenter) -> None:
    """Just under 64 KiB is fine, and a body may follow in the same packet."""
    filler = b"X-Filler: " + b"x" * (MAX_HEAD - 1000) + b"\r\n"
    body = b"{" + b" " * 300_000
    head = b"POST /api/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n" % len(body)
    answer = await _raw(center, head + filler + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    in_parts = await _raw(center, head, filler, b"\r\n" + body)
    assert in_parts.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "text", [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100]
)
async def test_what_is_no_http_is_400(center: RunningCenter, text: bytes) -> None:
    """TLS on the plain port, and plain nonsense: 400 and the end of the connection."""
    answer = await _raw(center, text)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in answer
