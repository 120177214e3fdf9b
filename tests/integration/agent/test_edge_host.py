"""The containers' side of a real daemon: what comes of garbage, of very many connections, and by curl."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Final

import pytest
import pytest_asyncio
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.api import PATIENCE
from tests.fixtures.edge import Edge, EdgeHost, dial, edge_host

_ID: Final = "R4b2WPZRbycCzyZBz9tD7BdMWg94YDhQ"
_MIB: Final = 1024 * 1024
_CONNECTS: Final = 10_000
_FRAMES: Final = 50
_EXAMPLES: Final = 210
"""Of `_FRAMES` frames each: more than ten thousand."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EdgeHost]:
    """A daemon that knows one microservice."""
    async with edge_host(tmp_path_factory.mktemp("host"), **{_ID: '{"property1":"value1"}'}) as host:
        yield host


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _curl(*arguments: str) -> tuple[int, dict[str, str], bytes]:
    """Run curl; return status, headers (lower case) and body."""
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--include", "--http1.1", *arguments, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}, body


async def test_curl_reads_a_configuration(host: EdgeHost) -> None:
    """As the seed shows the call and the answer; by the name that containers use, too."""
    asked = ("--header", "Content-Type:application/json", "--data", json.dumps({"id": _ID}))
    for url, extra in (
        (host.url, ()),
        (f"http://iofog:{host.port}", ("--resolve", f"iofog:{host.port}:127.0.0.1")),
    ):
        status, headers, body = await _curl(*asked, *extra, f"{url}/v2/config/get")
        assert status == 200
        assert headers["content-type"] == "application/json"
        assert headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in headers
        assert json.loads(body) == {"status": "okay", "config": '{"property1":"value1"}'}


async def test_curl_is_told_what_is_wrong(host: EdgeHost) -> None:
    """Method, then content type, then body: the contract's order and words."""
    url = f"{host.url}/v2/config/get"
    status, headers, _ = await _curl("--request", "PUT", "--header", "Content-Type: text/html", url)
    assert (status, headers["allow"]) == (405, "POST")
    status, _, body = await _curl("--header", "Content-Type: text/html", "--data", "{", url)
    assert (status, body) == (400, b"Incorrect content type text/html")
    json_type = ("--header", "Content-Type: application/json")
    status, _, body = await _curl(*json_type, "--data", "{}", url)
    assert (status, body) == (400, b"Incorrect content/data")
    status, _, body = await _curl(*json_type, "--data", '{"id":"x"}', url)
    assert (status, body) == (400, b"No configuration found for the id x")
    status, _, _ = await _curl(*json_type, "--header", "Host: evil.example", "--data", '{"id":"x"}', url)
    assert status == 403
    status, _, _ = await _curl(*json_type, "--header", "Origin: http://evil.example", "--data", "{}", url)
    assert status == 403
    status, _, _ = await _curl(f"{host.url}/v2/control/socket/id/unknown")
    assert status == 404


# --- garbage

_PAYLOADS: Final = st.sampled_from([b"\x09", b"\x0a", b"\x0b", b"\x0c", b""]) | st.binary(max_size=200)
_OPCODES: Final = st.sampled_from([2, 2, 2, 9, 9, 10, 1, 0, 8, 3, 11])


@st.composite
def _frame(draw: st.DrawFn) -> bytes:
    """Make a frame: mostly right, now and then wrong in one of the ways there are."""
    payload = draw(_PAYLOADS)
    first = draw(_OPCODES) | draw(st.sampled_from([0x80, 0x80, 0x80, 0x80, 0x00, 0xC0, 0x90]))
    masked = draw(st.sampled_from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]))
    size = draw(st.sampled_from([len(payload)] * 8 + [126, 127]))
    if size == 126 or len(payload) > 125:
        head = struct.pack(">BBH", first, masked | 126, draw(st.sampled_from([len(payload), 0, 65535])))
    elif size == 127:
        head = struct.pack(">BBQ", first, masked | 127, draw(st.sampled_from([len(payload), 2**40, 2**63])))
    else:
        head = bytes((first, masked | len(payload)))
    key = draw(st.sampled_from([b"\0\0\0\0", b"abcd"])) if masked else b""
    return head + key + bytes(byte ^ key[place % 4] if key else byte for place, byte in enumerate(payload))


_SOME_FRAMES: Final = st.lists(
    _frame() | st.binary(min_size=1, max_size=20), min_size=_FRAMES, max_size=_FRAMES
)


def _say(edge: Edge, frames: Sequence[bytes]) -> bytes:
    """Open a socket, say frames and half-close; return all that the agent answers until it closes."""
    said = b""
    with dial(edge) as control:
        control.sendall(edge.handshake(_ID))
        try:
            control.sendall(b"".join(frames))
            control.shutdown(socket.SHUT_WR)
            while more := control.recv(65536):
                said += more
        except ConnectionError:
            # It was closed with frames on the way: what was read before is what counts.
            pass
    return said


_GOOD_CODES: Final = {
    1000,
    1001,
    1002,
    1003,
    1007,
    1008,
    1009,
    *range(3000, 5000),
    1010,
    1011,
    1012,
    1013,
    1014,
}


def _check_frames(said: bytes) -> None:
    """Check that what the agent says is frames: pongs, and a close with a code at the end."""
    head, _, rest = said.partition(b"\r\n\r\n")
    assert not head or head.startswith(b"HTTP/1.1 101 ")
    while rest:
        size = rest[1]
        assert rest[0] in (0x88, 0x89, 0x8A)
        assert size < 126
        if rest[0] == 0x88:
            assert int.from_bytes(rest[2:4], "big") in _GOOD_CODES
            assert len(rest) == 2 + size
        rest = rest[2 + size :]


@pytest.mark.slow
async def test_garbage_ends_in_clean_errors(host: EdgeHost) -> None:
    """More than ten thousand frames, right and wrong: it answers with frames, logs no fault, and lives."""

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(frames=_SOME_FRAMES)
    def say(frames: list[bytes]) -> None:
        _check_frames(_say(host, frames))

    await asyncio.to_thread(say)
    async with websockets.connect(host.socket(_ID)) as control:
        await (await control.ping())
    assert "ERROR" not in host.agent.log
    assert "Traceback" not in host.agent.log


# --- very many connections


async def _connect(edge: Edge, times: int) -> None:
    """Open a socket and leave, many times: politely, by a cut, in the middle of a frame."""
    for number in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(edge.handshake(_ID))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        match number % 3:
            case 0:
                writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
                writer.close()
            case 1:
                writer.transport.abort()
            case _:
                writer.write(b"\x82\xfe\x01")
                writer.close()


@pytest.mark.slow
async def test_ten_thousand_connects_leave_nothing_behind(host: EdgeHost) -> None:
    """Memory and open files after ten thousand are those after the first two thousand."""
    await asyncio.gather(*(_connect(host, 250) for _ in range(8)))
    before = host.memory()
    await asyncio.gather(*(_connect(host, (_CONNECTS - 2000) // 8) for _ in range(8)))
    assert host.memory() - before < 2 * _MIB
    async with asyncio.timeout(PATIENCE):
        while len(os.listdir(f"/proc/{host.agent.pid}/fd")) > 60:  # noqa: ASYNC110, PTH208 - nothing tells of it
            await asyncio.sleep(0.05)
    assert "ERROR" not in host.agent.log
