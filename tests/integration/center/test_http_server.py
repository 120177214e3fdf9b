"""The listener itself: bounded heads, slow senders, readers that stop, starting and stopping."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from outrider.center.http.server import BACKLOG, Listener
from outrider.center.settings import Address
from outrider.center.store.writer import Transaction
from outrider.kit import tcp
from outrider.kit.supervise import StopAll
from outrider.kit.tasks import Tasks
from tests.fixtures.center import own_center
from tests.fixtures.links import enrol

LOOPBACK = Address("127.0.0.1", 0)


async def _answer(_: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer `ok`."""
    put: Any = send
    more = True
    while more:
        event: Any = await receive()
        more = event.get("more_body", False)
    await put({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await put({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def _listening(address: Address = LOOPBACK, **options: Any) -> AsyncIterator[Listener]:
    listener = Listener(_answer, address, **options)
    async with Tasks("listener") as tasks:
        ready = asyncio.Event()
        serving = tasks.start("serve", listener.serve(ready.set))
        async with asyncio.timeout(10):
            await ready.wait()
        yield listener
        serving.cancel()
        await asyncio.wait((serving,))


async def _open(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(listener.address.host, listener.address.port)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_a_free_port_is_told_and_served() -> None:
    """Port 0 becomes the port that was given."""
    async with _listening() as listener:
        assert listener.address.port > 0
        reader, writer = await _open(listener)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        await _close(writer)


async def test_a_port_that_is_taken_stops_everything_with_a_reason() -> None:
    """Nobody is left to guess why the center does not answer."""
    with contextlib.closing(tcp.listen(LOOPBACK.host, LOOPBACK.port, BACKLOG)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StopAll, match=f"can't listen on 127.0.0.1:{address.port}"):
            await Listener(_answer, address).serve(lambda: None)


async def test_a_listener_can_be_stopped_and_started_on_the_same_port() -> None:
    """The port is free as soon as the listener has stopped."""
    async with _listening() as listener:
        address = listener.address
    async with _listening(address=address) as again:
        assert again.address == address


async def test_stopping_lets_a_request_end() -> None:
    """What is being answered when the listener stops is answered."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await _answer(scope, receive, send)

    listener = Listener(slow, LOOPBACK)
    async with Tasks("listener") as tasks:
        ready = asyncio.Event()
        serving = tasks.start("serve", listener.serve(ready.set))
        await ready.wait()
        reader, writer = await _open(listener)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        serving.cancel()
        go_on.set()
        assert (await reader.read()).endswith(b"ok")
        await asyncio.wait((serving,))
        assert serving.cancelled()
        await _close(writer)


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n"],
)
async def test_a_head_that_does_not_come_is_408(said: bytes) -> None:
    """A connection that begins a request and does not go on is closed, the first and a later one."""
    async with _listening(head_within=0.2) as listener:
        reader, writer = await _open(listener)
        writer.write(said)
        async with asyncio.timeout(20):
            assert b"HTTP/1.1 408 " in await reader.read()
        await _close(writer)


async def test_a_connection_that_rests_between_requests_is_kept() -> None:
    """The limit is on a head that has begun, not on a kept connection that waits."""
    async with _listening(head_within=0.2) as listener:
        reader, writer = await _open(listener)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"ok")
            late, other = await _open(listener)
            async with asyncio.timeout(20):
                assert b"408" in await late.read()
            await _close(other)
        await _close(writer)


class _Chatter:
    """Writes events, large ones."""

    name = "test.chatter"
    rank = 1

    async def apply(self, tx: Transaction, items: Any) -> list[None]:
        """Write each."""
        for item in items:
            tx.event("test.noise", str(item), {"noise": "x" * 4000})
        return [None] * len(items)


async def test_a_reader_that_stops_costs_nothing_and_delays_nobody(tmp_path: Path) -> None:
    """Megabytes of events behind a reader that does not read: others get theirs, and writing goes on."""
    async with own_center(tmp_path) as own:
        host, _, port = own.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        token = own.tokens["viewer"]
        writer.write(f"GET /api/events?token={token}&after=0 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        async with own.api.events("/api/events") as events:
            chatter = _Chatter()
            for first in range(0, 4000, 500):
                await own.center.store.writer.submit_many(chatter, range(first, first + 500))
            agent = await enrol(own.api)
            found = await events.until("agent.enrolled")
        assert sum(event.event == "test.noise" for event in found) == 4000
        assert agent.id in found[-1].data
        await _close(writer)


async def test_a_reader_that_hangs_up_leaves_nothing_behind(tmp_path: Path) -> None:
    """When a reader of events is gone, the center no longer follows for it."""
    async with own_center(tmp_path) as own:
        before = len(asyncio.all_tasks())
        async with own.api.events("/api/events?after=0") as events:
            await events.next()
        await _until(own, lambda: len(asyncio.all_tasks()) <= before)


async def _until(own: Any, holds: Callable[[], bool]) -> None:
    """Ask the center small things until something holds."""
    async with asyncio.timeout(20):
        while not holds():
            await own.api.get("/healthz", role=None)


async def test_events_are_numbered_and_resumed(tmp_path: Path) -> None:
    """`Last-Event-ID` goes on after that event, without a gap or a repeat; `?after=0` is from the start."""
    async with own_center(tmp_path) as own:
        for _ in range(3):
            await enrol(own.api)
        async with own.api.events("/api/events?after=0", role="admin") as events:
            first = [await events.next() for _ in range(6)]
        ids = [int(event.id) for event in first if event is not None]
        assert ids == list(range(ids[0], ids[0] + 6))
        async with own.api.events("/api/events", role="admin", last_event_id=str(ids[2])) as events:
            again = await events.next()
        assert again == first[3]
        async with own.api.events("/api/events", last_event_id="999999") as events:
            missed = await events.next()
        assert missed is not None
        assert missed.event == "missed"


async def test_health_readiness_and_figures(tmp_path: Path) -> None:
    """`/healthz`, `/readyz`, and `/metrics` in Prometheus' format with the figures of the fleet."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        assert await own.api.get("/healthz", role=None) == {"status": "ok"}
        assert await own.api.get("/readyz", role=None) == {"status": "ready"}
        async with agent.linked(own.api):
            answer = await own.api.ask("GET", "/metrics", role=None)
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        figures = dict(
            line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#")
        )
        assert figures["outrider_links_open"] == "1.0"
        assert figures['outrider_agents{approval="approved"}'] == "1.0"
        assert figures['outrider_commands_active{state="queued"}'] == "0.0"
        assert float(figures["outrider_memory_bytes"]) > 1e6
