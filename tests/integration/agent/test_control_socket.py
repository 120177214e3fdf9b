"""The containers' calls of the edge API (contract 003), with plain clients as the container."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import pytest_asyncio
import websockets

from outrider.agent.local.edge.control_socket import CLOSE_WITHIN, PING_AFTER, SILENT_AFTER
from outrider.agent.local.edge.signals import AGAIN, TIMES
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import PATIENCE
from tests.fixtures.edge import OwnEdge, dial, own_edge

_ID: Final = "R4b2WPZRbycCzyZBz9tD7BdMWg94YDhQ"
_NEW, _ACK = b"\x0c", b"\x0b"


@pytest_asyncio.fixture
async def clock() -> TurnedClock:
    """Goes for control sockets."""
    return TurnedClock()


@pytest_asyncio.fixture
async def edge(tmp_path: Path, clock: TurnedClock) -> AsyncIterator[OwnEdge]:
    """The API with one microservice."""
    async with own_edge(tmp_path, clock, **{_ID: '{"a":1}'}) as edge:
        yield edge


async def _next(control: websockets.ClientConnection) -> bytes:
    async with asyncio.timeout(PATIENCE):
        message = await control.recv()
    assert isinstance(message, bytes)
    return message


async def _closed(control: websockets.ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE):
        await control.wait_closed()
    return control.close_code


async def _silent(control: websockets.ClientConnection) -> None:
    """Return when all has come that was sent so far: answers come in order. Nothing has."""
    await (await control.ping())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(control.recv(), 0.01)


async def test_a_change_is_signalled_and_nothing_else(edge: OwnEdge) -> None:
    """Nothing at connect; one binary frame with 0x0C at a change; the same text again is no change."""
    async with websockets.connect(edge.socket(_ID)) as control:
        await _silent(control)
        await edge.change({_ID: "2", "other": "1"})
        assert await _next(control) == _NEW
        await control.send(_ACK)
        await edge.change({_ID: "2"})
        await _silent(control)


async def test_the_signal_comes_again_until_it_is_acknowledged(edge: OwnEdge, clock: TurnedClock) -> None:
    """After twenty seconds, and no more after the acknowledgement."""
    async with websockets.connect(edge.socket(_ID)) as control:
        await edge.change({_ID: "2"})
        assert await _next(control) == _NEW
        await clock.advance(AGAIN - 1)
        await _silent(control)
        await clock.advance(1)
        assert await _next(control) == _NEW
        await control.send(_ACK)
        await _silent(control)
        await clock.advance(AGAIN)
        await _silent(control)


async def test_who_never_acknowledges_is_closed_after_ten(edge: OwnEdge, clock: TurnedClock) -> None:
    """So that the container connects anew: a fresh socket is told nothing of it."""
    async with websockets.connect(edge.socket(_ID)) as control:
        await edge.change({_ID: "2"})
        for _ in range(TIMES):
            assert await _next(control) == _NEW
            await _silent(control)
            await clock.advance(AGAIN)
        assert await _closed(control) == 1000
    async with websockets.connect(edge.socket(_ID)) as control:
        await _silent(control)


async def test_pings_are_answered_as_the_contract_says(edge: OwnEdge) -> None:
    """[0x09] with [0x0A], any other with its own data."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(edge.socket(_ID), autoping=False) as control,
    ):
        for sent, expected in ((b"\x09", b"\x0a"), (b"", b""), (b"\x0a", b"\x0a"), (b"x" * 125,) * 2):
            await control.ping(sent)
            answer = await control.receive(timeout=PATIENCE)
            assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, expected)


async def test_a_silent_container_is_pinged_and_then_let_go(edge: OwnEdge, clock: TurnedClock) -> None:
    """With [0x09] after half a minute; without any word for three of them it is gone."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(edge.socket(_ID), autoping=False) as control,
    ):
        await clock.advance(PING_AFTER)
        asked = await control.receive(timeout=PATIENCE)
        assert (asked.type, bytes(asked.data)) == (aiohttp.WSMsgType.PING, b"\x09")
        await control.pong(b"\x0a")
        await control.ping(b"1")
        assert (await control.receive(timeout=PATIENCE)).data == b"1"
        await clock.advance(SILENT_AFTER - 1)
        assert (await control.receive(timeout=PATIENCE)).type is aiohttp.WSMsgType.PING
        assert len(edge.sockets) == 1
        await clock.advance(1)
        assert (await control.receive(timeout=PATIENCE)).type is aiohttp.WSMsgType.CLOSED
    assert len(edge.sockets) == 0


async def test_a_newer_socket_takes_the_place_of_the_older(edge: OwnEdge) -> None:
    """The older is closed; the newer gets what comes from then on."""
    async with (
        websockets.connect(edge.socket(_ID)) as older,
        websockets.connect(edge.socket(_ID)) as newer,
    ):
        assert await _closed(older) == 1000
        await edge.change({_ID: "2"})
        assert await _next(newer) == _NEW
        assert len(edge.sockets) == 1


def _read_to_the_end(connection: socket.socket) -> None:
    with suppress(ConnectionResetError):
        while connection.recv(1024):
            pass


async def test_a_replaced_container_that_does_not_close_is_cut(edge: OwnEdge, clock: TurnedClock) -> None:
    """It has less than half a second."""
    with dial(edge) as older:
        await asyncio.to_thread(older.sendall, edge.handshake(_ID))
        assert b"101" in await asyncio.to_thread(older.recv, 1024)
        async with websockets.connect(edge.socket(_ID)):
            assert (await asyncio.to_thread(older.recv, 1024))[0] == 0x88
            await clock.advance(CLOSE_WITHIN)
            await asyncio.to_thread(_read_to_the_end, older)


async def test_an_unknown_id_is_refused_before_the_upgrade(edge: OwnEdge) -> None:
    """404; so is one whose microservice is removed, and its socket is closed."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        await websockets.connect(edge.socket("unknown"))
    assert caught.value.response.status_code == 404
    async with websockets.connect(edge.socket(_ID)) as control:
        await edge.change({_ID: None})
        assert await _closed(control) == 1000
    with pytest.raises(websockets.InvalidStatus) as caught:
        await websockets.connect(edge.socket(_ID))
    assert caught.value.response.status_code == 404


async def test_pages_of_other_origins_get_no_socket(edge: OwnEdge) -> None:
    """A browser says where its page comes from; a name that leads here by another's DNS is none of ours."""
    for headers in ({"Origin": "http://evil.example"}, {"Host": f"evil.example:{edge.port}"}):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(edge.socket(_ID), headers=headers)
        assert caught.value.status == 403


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"Upgrade": "websocket"},
        {"Connection": "Upgrade", "Upgrade": "h2c"},
        {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "12"},
        {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAA",
        },
    ],
)
async def test_what_is_no_handshake_is_refused(edge: OwnEdge, call: dict[str, str]) -> None:
    """400 with the reason, and the connection goes on as HTTP."""
    async with aiohttp.ClientSession() as session:
        path = f"{edge.url}/v2/control/socket/id/{_ID}"
        async with session.get(path, headers=call) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (400, str(len(await answer.read())))
        async with session.post(path) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        async with session.head(path, headers=call) as answer:
            assert answer.status == 400
    assert len(edge.sockets) == 0


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(b"\x81\x80\0\0\0\0", 1003, id="text"),
        pytest.param(b"\x82\x01\x0b", 1002, id="not masked"),
        pytest.param(b"\xc2\x80\0\0\0\0", 1002, id="reserved bit"),
        pytest.param(b"\x83\x80\0\0\0\0", 1002, id="unknown opcode"),
        pytest.param(b"\x09\x80\0\0\0\0", 1002, id="ping in pieces"),
        pytest.param(b"\x80\x80\0\0\0\0", 1002, id="nothing to continue"),
        pytest.param(b"\x81\x81\0\0\0\0\xff", 1007, id="no UTF-8"),
        pytest.param(b"\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0", 1009, id="four gigabytes to come"),
        pytest.param(b"\x88\x81\0\0\0\0\0", 1002, id="half a close code"),
        pytest.param(b"\x88\x82\0\0\0\0\x03\xe9", 1001, id="close"),
        pytest.param(b"\x88\x80\0\0\0\0", 1000, id="close without a code"),
    ],
)
async def test_bad_frames_end_with_their_code(edge: OwnEdge, frame: bytes, code: int) -> None:
    """A close frame that says what was wrong, and the socket is gone."""
    with dial(edge) as control:
        await asyncio.to_thread(control.sendall, edge.handshake(_ID))
        assert b"101" in await asyncio.to_thread(control.recv, 1024)
        await asyncio.to_thread(control.sendall, frame)
        said = await asyncio.to_thread(control.recv, 1024)
    assert (said[0], int.from_bytes(said[2:4], "big")) == (0x88, code)
    async with asyncio.timeout(PATIENCE):
        while len(edge.sockets):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_other_binary_messages_do_no_harm(edge: OwnEdge) -> None:
    """They are of another release; and an acknowledgement of nothing is nothing."""
    async with websockets.connect(edge.socket(_ID)) as control:
        for message in (b"", b"\x0f", b"\x0d\0\0\0\x01x", b"x" * 1024, _ACK, _ACK):
            await control.send(message)
        await edge.change({_ID: "2"})
        assert await _next(control) == _NEW


async def test_who_does_not_read_its_answers_is_cut(edge: OwnEdge) -> None:
    """Pings without end whose pongs nobody reads: the agent keeps no more than a few of them."""
    with dial(edge) as control:
        await asyncio.to_thread(control.sendall, edge.handshake(_ID))

        def flood() -> None:
            while True:
                control.sendall((b"\x89\xfd\0\0\0\0" + b"x" * 125) * 500)

        with pytest.raises(ConnectionError):
            await asyncio.to_thread(flood)


async def test_who_does_not_wait_for_the_answer_is_understood(edge: OwnEdge) -> None:
    """Some clients speak right behind the handshake."""
    with dial(edge) as control:
        await asyncio.to_thread(control.sendall, edge.handshake(_ID) + b"\x89\x81\0\0\0\0\x09")
        said = b""
        while not said.endswith(b"\x8a\x01\x0a"):
            more = await asyncio.to_thread(control.recv, 1024)
            assert more, said
            said += more
        assert said.startswith(b"HTTP/1.1 101 ")


async def test_the_agent_says_goodbye(tmp_path: Path) -> None:
    """1012: the container may come back."""
    async with own_edge(tmp_path, TurnedClock(), **{_ID: ""}) as edge:
        control = await websockets.connect(edge.socket(_ID))
    assert await _closed(control) == 1012


async def test_a_configuration_is_read_as_the_seed_says(edge: OwnEdge) -> None:
    """The seed's example, field by field."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{edge.url}/v2/config/get", json={"id": _ID}) as answer,
    ):
        body = await answer.read()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(body))
    assert json.loads(body) == {"status": "okay", "config": '{"a":1}'}


@pytest.mark.parametrize(
    ("kind", "body", "detail"),
    [
        ("text/plain", b'{"id":"x"}', "Incorrect content type text/plain"),
        ("application/json", b"", "Incorrect content/data"),
        ("application/json", b"{", "Incorrect content/data"),
        ("application/json", b"[]", "Incorrect content/data"),
        ("application/json", b"{}", "Incorrect content/data"),
        ("application/json", b'{"id":""}', "Incorrect content/data"),
        ("application/json", b'{"id":"  "}', "Incorrect content/data"),
        ("application/json", b'{"id":5}', "Incorrect content/data"),
        ("application/json; charset=utf-8", b'{"id":"nobody"}', "No configuration found for the id nobody"),
        (
            "application/json",
            b'{"id":"' + b"x" * 100 + b'"}',
            "No configuration found for the id " + "x" * 64,
        ),
    ],
)
async def test_what_has_no_configuration_is_told_why(
    edge: OwnEdge, kind: str, body: bytes, detail: str
) -> None:
    """400 with the contract's words as plain text."""
    async with aiohttp.ClientSession() as session:
        call = session.post(f"{edge.url}/v2/config/get", data=body, headers={"Content-Type": kind})
        async with call as answer:
            assert (answer.status, await answer.text()) == (400, detail)
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert answer.headers["Content-Length"] == str(len(detail))
        async with session.get(f"{edge.url}/v2/config/get") as answer:
            assert answer.status == 405
        async with session.post(
            f"{edge.url}/v2/config/get",
            data=io.BytesIO(b" " * 1_100_000),
            headers={"Content-Type": "application/json"},
        ) as answer:
            assert answer.status == 413
