"""Who watches which host's figures: however many do, the host reads once and says it on one stream."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

import msgspec

from outrider.center.fleet.approval import Approved
from outrider.center.link.host_streams import HostStreams
from outrider.center.link.hub import Hub
from outrider.center.telemetry.latest import LatestSnapshots
from outrider.domain.errors import (
    HostAway,
    HostFault,
    Invalid,
    NotFound,
    OutriderError,
    StreamLost,
    Throttled,
    Unavailable,
)
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.snapshot import EVERY, Snapshot
from outrider.kit import logs, sse
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.metrics_stream import KIND, WatchReadings

log = logs.get(__name__)

COMMENT_EVERY: Final = 15.0
MAX_WAITING: Final = 12
"""Snapshots that wait for one reader: a minute's. The oldest goes, and the reader is told."""
LOOK_AGAIN: Final = 1.0
_TRY_AGAIN: Final = 10.0
_GAP: Final = 1.8 * EVERY
_DIGITS: Final = 3
_LONGEST_CURSOR: Final = 32
_FAR: Final = 1e11


def parse_cursor(text: str | None) -> float | None:
    """Read a `Last-Event-ID` of this stream: the time of the last snapshot. Raises `Invalid`."""
    if not text:
        return None
    try:
        time = float(text) if len(text) <= _LONGEST_CURSOR else -1.0
    except ValueError:
        time = -1.0
    if not 0 <= time < _FAR:
        raise Invalid(
            "Last-Event-ID must be the time of a snapshot, such as 1718000000.25.", field="Last-Event-ID"
        )
    return time


class _News(NamedTuple):
    """An event for all readers of a host. `time` is a snapshot's; `last` ends their streams."""

    event: bytes
    time: float | None = None
    last: bool = False


class _Reader:
    """One reader's end: what waits for it, within bounds."""

    __slots__ = ("_news", "_waiting", "seen")

    def __init__(self, cursor: float | None) -> None:
        self.seen = cursor
        self._waiting: deque[_News] = deque(maxlen=MAX_WAITING)
        self._news = asyncio.Event()

    def put(self, news: _News) -> None:
        self._waiting.append(news)
        self._news.set()

    async def next(self) -> _News:
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class _Host:
    """A host that somebody watches."""

    __slots__ = ("latest", "readers", "task")

    def __init__(self) -> None:
        self.readers: set[_Reader] = set()
        self.latest: _News | None = None
        self.task: asyncio.Task[None] | None = None

    def tell(self, news: _News) -> None:
        self.latest = news
        for reader in self.readers:
            reader.put(news)

    def end(self, kind: str, error: OutriderError) -> None:
        if self.latest is None or not self.latest.last:
            self.tell(_News(_event(kind, {"code": error.code, "detail": error.detail}), last=True))


class Watching:
    """The service that opens one stream for each host that is watched, and hands it to its readers."""

    name = "metrics watching"

    def __init__(
        self,
        host_streams: HostStreams,
        hub: Hub,
        approved: Approved,
        latest: LatestSnapshots,
        clock: Clock,
    ) -> None:
        """Take the parts."""
        self._host_streams = host_streams
        self._hub = hub
        self._approved = approved
        self._latest = latest
        self._clock = clock
        self._hosts: dict[AgentId, _Host] = {}
        self._tasks = Tasks(self.name)

    def __len__(self) -> int:
        """Count the hosts that are watched."""
        return len(self._hosts)

    async def serve(self, ready: Ready) -> None:
        """Own the streams until stopped."""
        async with self._tasks:
            ready()
            await asyncio.get_running_loop().create_future()

    async def check(self, agent_id: str, cursor: float | None) -> None:
        """Raise `NotFound`, `Conflict` for an agent that is not approved, `HostAway` for one not connected.

        A reader that resumes is let in while the host is away: it is told, and waits.
        """
        await self._approved(AgentId(agent_id))
        if cursor is None and self._hub.get(AgentId(agent_id)) is None:
            raise HostAway("The host is not connected now: it has no figures to show live.")

    async def stream(self, agent_id: str, cursor: float | None) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events: `metrics` at once and every five seconds, each a snapshot.

        `missed` tells between which times a slow or resuming reader has missed some, `away` that the host
        went away (snapshots go on when it is back), `gone` and `error` that no more come. The id is the
        snapshot's time.
        """
        known = AgentId(agent_id)
        reader = _Reader(cursor)
        host = self._join(known, reader)
        try:
            while True:
                try:
                    news = await self._clock.wait_for(reader.next(), COMMENT_EVERY)
                except TimeoutError:
                    yield sse.comment("still here")
                    continue
                if news.time is not None:
                    if reader.seen is not None and news.time - reader.seen > _GAP:
                        yield _event("missed", {"from": reader.seen, "to": news.time})
                    reader.seen = news.time
                yield news.event
                if news.last:
                    return
        finally:
            self._leave(known, host, reader)

    def _join(self, agent_id: AgentId, reader: _Reader) -> _Host:
        host = self._hosts.get(agent_id)
        if host is None:
            host = self._hosts[agent_id] = _Host()
            host.task = self._tasks.start(f"watch {agent_id}", self._watch(agent_id, host))
        elif host.latest is not None:
            reader.put(host.latest)
        host.readers.add(reader)
        return host

    def _leave(self, agent_id: AgentId, host: _Host, reader: _Reader) -> None:
        host.readers.discard(reader)
        if host.readers:
            return
        if self._hosts.get(agent_id) is host:
            del self._hosts[agent_id]
        if host.task is not None:
            host.task.cancel()

    async def _watch(self, agent_id: AgentId, host: _Host) -> None:
        """Hand on what a host says until it can't be asked any more; while it is away, wait for it."""
        try:
            while True:
                pause = LOOK_AGAIN
                try:
                    await self._hand_on(agent_id, host)
                except (HostAway, StreamLost, Unavailable) as error:
                    host.tell(_News(_away(error)))
                except (HostFault, Throttled) as error:
                    pause = _TRY_AGAIN
                    host.tell(_News(_away(error)))
                await self._until_back(agent_id, pause)
        except NotFound as error:
            host.end("gone", error)
        except OutriderError as error:
            host.end("error", error)
        finally:
            # Whoever comes now begins anew; whoever is here must not wait for what no longer comes.
            if self._hosts.get(agent_id) is host:
                del self._hosts[agent_id]
            host.end("error", HostFault("The center failed at watching the host; its log says why."))

    async def _hand_on(self, agent_id: AgentId, host: _Host) -> None:
        async with self._host_streams.open(agent_id, KIND, WatchReadings()) as stream:
            while (snapshot := await stream.hear(Snapshot)) is not None:
                self._latest.put(agent_id, snapshot)
                time = round(snapshot.time, _DIGITS)
                body = msgspec.json.encode(snapshot)
                host.tell(_News(sse.encode("metrics", body, f"{time}"), time))
        raise StreamLost("The host has ended its stream.")

    async def _until_back(self, agent_id: AgentId, pause: float) -> None:
        await self._clock.sleep(pause)
        while self._hub.get(agent_id) is None:
            await self._approved(agent_id)
            await self._clock.sleep(LOOK_AGAIN)


def _away(error: OutriderError) -> bytes:
    return _event("away", {"code": error.code, "detail": error.detail})


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return sse.encode(kind, msgspec.json.encode(data))
