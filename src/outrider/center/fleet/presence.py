"""Who is there: links opened, silent, gone; two machines with one identity; what is written behind."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from outrider.center.fleet import link_writes as writes
from outrider.center.fleet import rows
from outrider.center.link.hub import Hub
from outrider.center.link.open_link import OpenLink
from outrider.center.store.engine import Store
from outrider.domain.enrolment import hash_agent_key, matches
from outrider.domain.errors import Forbidden, LinkRefused, NotFound, Unauthenticated, Unavailable
from outrider.domain.ids import AgentId, has_shape
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.limits import SILENCE
from outrider.protocol.link import REPLACED, SILENT
from outrider.protocol.messages import CenterSeen, Hello, Welcome

log = logs.get(__name__)

SWEEP_EVERY: Final = 1.0
WRITE_BEHIND_EVERY: Final = 60.0
RETURNS_PER_SECOND: Final = 200
"""How many agents may come back in a second: a TLS handshake and a hello cost about five milliseconds."""
RETURN_AT_LEAST: Final = 2.0
DUPLICATE_RETRY: Final = 60.0
_CONFLICT_AGAIN: Final = 600.0
_CONFLICTS_KEPT: Final = 1024

Silent = Callable[[Sequence[writes.Departure]], Awaitable[None]]
Position = Callable[[], CenterSeen]
Restored = Callable[[CenterSeen], Awaitable[bool]]


class Away(msgspec.Struct):
    """An agent without a link that still counts as there: until `heard` is too long ago."""

    heard: float
    fence: int
    paused: bool = False


class Presence:
    """Keeps who is there, in memory first and in the database behind it. A service: it sweeps."""

    name = "presence"

    def __init__(
        self,
        store: Store,
        hub: Hub,
        clock: Clock,
        *,
        replica: str,
        heartbeat: float,
        position: Position,
        restored: Restored,
    ) -> None:
        """Take the store and the open links; `on_silent` is told of hosts that fell silent."""
        self._store = store
        self._hub = hub
        self._clock = clock
        self._replica = replica
        self._heartbeat = heartbeat
        self._position = position
        self._restored = restored
        self._away: dict[AgentId, Away] = {}
        self._conflicts: OrderedDict[tuple[AgentId, str], float] = OrderedDict()
        self._fleet = 0
        self.on_silent: Silent | None = None

    @property
    def heartbeat(self) -> float:
        """How often agents send a heartbeat, in seconds."""
        return self._heartbeat

    @property
    def patience(self) -> float:
        """How long an agent may be silent and still count as there, in seconds."""
        return SILENCE * self._heartbeat

    @property
    def return_within(self) -> float:
        """Within how many seconds agents that lost their links are to spread their return."""
        return max(RETURN_AT_LEAST, self._fleet / RETURNS_PER_SECOND)

    def heard_since(self) -> float:
        """Say since when, in unix time, an agent without a link must have been heard to count as there."""
        return self._clock.time() - self.patience

    async def admit(self, agent_id: str, key: str) -> AgentId:
        """Check an agent's key.

        Raises `Unauthenticated` without a key, `NotFound` for an unknown agent, `Forbidden` for a
        key that is not that agent's own.
        """
        if not key:
            raise Unauthenticated("An agent shows its key in X-Agent-Key.")
        if not has_shape(agent_id, "agent_"):
            raise NotFound("There is no such agent; it may have been deleted.")
        async with self._store.read() as conn:
            kept = await rows.key_hash_of(conn, AgentId(agent_id))
        if kept is None:
            matches(key, hash_agent_key(agent_id))
            raise NotFound("There is no such agent; it may have been deleted.")
        if not matches(key, kept):
            raise Forbidden("This key is not that agent's own.")
        return AgentId(agent_id)

    async def greet(self, link: OpenLink, hello: Hello) -> tuple[Welcome, writes.Arrived]:
        """Decide about a link whose agent has said hello. Raises `LinkRefused`."""
        if hello.identity.agent_id != link.agent_id:
            raise LinkRefused("The hello names another agent than the key.", reason="identity_mismatch")
        await self._settle_duplicate(link, hello)
        arrival = writes.Arrival(
            identity=hello.identity,
            facts=hello.facts,
            held=hello.held,
            address=link.address,
            replica=self._replica,
            center_restored=await self._center_restored(hello),
            clock_offset=hello.time - self._clock.time(),
        )
        try:
            arrived = await self._store.writer.submit(writes.OPEN_LINKS, arrival)
        except NotFound as error:
            raise LinkRefused(error.detail, reason="not_found") from None
        link.start = hello.identity.start
        link.fence = arrived.fence
        link.clock_offset = arrival.clock_offset
        link.paused = hello.paused
        link.renewing = arrived.verdict.may_be_a_copy
        self._away.pop(link.agent_id, None)
        if arrived.verdict.may_be_a_copy:
            log.warning(
                "an agent's spool may be a copy", agent_id=link.agent_id, verdict=arrived.verdict.value
            )
        welcome = Welcome(
            version=link.version,
            approval=arrived.approval,
            heartbeat=self._heartbeat,
            time=self._clock.time(),
            seen=self._position(),
            label=arrived.label,
            new_spool=arrived.verdict.may_be_a_copy,
            begun=arrived.begun,
            return_within=self.return_within,
        )
        return welcome, arrived

    async def _center_restored(self, hello: Hello) -> bool:
        """Tell whether the agent has seen more of this center than the center itself remembers."""
        return hello.seen is not None and await self._restored(hello.seen)

    async def _settle_duplicate(self, link: OpenLink, hello: Hello) -> None:
        """Let one machine be the agent: whoever is there and answers stays.

        The same process may always replace its own older link. Another one waits for the answer to a
        probe: a host that was cut off or rebooted does not answer, a cloned disk's other half does.
        """
        older = self._hub.get(link.agent_id)
        if older is None:
            return
        if older.start != hello.identity.start and await older.answers_probe():
            await self._note_conflict(link, hello)
            raise LinkRefused(
                "Another machine with this agent's identity is connected: a cloned disk? "
                "Remove the agent's folder on the copy and enrol it anew.",
                reason="duplicate_identity",
                retry_after=DUPLICATE_RETRY,
            )
        # In the background: a half-open connection may take no more bytes, and nobody waits for it.
        if self._hub.cut(older, REPLACED, "replaced by a newer link"):
            self.left(older)

    async def _note_conflict(self, link: OpenLink, hello: Hello) -> None:
        key = (link.agent_id, hello.identity.start)
        now = self._clock.monotonic()
        if now - self._conflicts.get(key, -_CONFLICT_AGAIN) < _CONFLICT_AGAIN:
            return
        self._conflicts[key] = now
        while len(self._conflicts) > _CONFLICTS_KEPT:
            self._conflicts.popitem(last=False)
        log.warning(
            "a second machine claims an agent's identity", agent_id=link.agent_id, address=link.address
        )
        conflict = writes.Conflict(
            agent_id=link.agent_id,
            address=link.address,
            hostname=hello.facts.hostname,
            machine=hashlib.sha256(hello.identity.machine.encode()).hexdigest()[:12],
            start=hello.identity.start,
        )
        await self._store.writer.submit(writes.NOTE_CONFLICTS, conflict)

    def left(self, link: OpenLink) -> None:
        """Note that a link is gone; its agent counts as there until its patience runs out."""
        heard = link.heard - self.patience if link.stopping else link.heard
        self._away[link.agent_id] = Away(heard=heard, fence=link.fence)

    async def reported(
        self, agent_id: AgentId, heard: writes.Heard, *, fence: int | None, paused: bool = False
    ) -> None:
        """Note a report of an agent without a link; `fence` when its arrival has just been stored."""
        known = self._away.get(agent_id)
        if fence is None:
            fence = known.fence if known else await self._fence_of(agent_id)
        self._away[agent_id] = Away(heard=self._clock.monotonic(), fence=fence, paused=paused)
        await self._store.writer.submit(
            writes.NOTE_HEARD, msgspec.structs.replace(heard, came_back=known is None)
        )

    async def _fence_of(self, agent_id: AgentId) -> int:
        async with self._store.read() as conn:
            return await rows.fence_of(conn, agent_id)

    def forget(self, agent_id: AgentId) -> None:
        """Forget an agent that was deleted."""
        self._away.pop(agent_id, None)

    def is_there(self, agent_id: AgentId) -> bool:
        """Tell whether an agent has an open link."""
        return self._hub.get(agent_id) is not None

    def counts_as_there(self, agent_id: AgentId) -> bool:
        """Tell whether an agent is shown as online: it has a link, or was heard within our patience."""
        if self._hub.get(agent_id) is not None:
            return True
        away = self._away.get(agent_id)
        return away is not None and self._clock.monotonic() - away.heard < self.patience

    def takes_orders(self, agent_id: AgentId) -> bool:
        """Tell whether an agent has an open link on which it takes commands."""
        link = self._hub.get(agent_id)
        return link is not None and link.takes_orders

    def is_paused(self, agent_id: AgentId) -> bool:
        """Tell whether an agent that is there says that it is paused."""
        link = self._hub.get(agent_id)
        if link is not None:
            return link.paused
        away = self._away.get(agent_id)
        return away is not None and away.paused

    def seen(self) -> CenterSeen:
        """Say what an agent has seen of this center that is told something now."""
        return self._position()

    def last_heard(self, agent_id: AgentId) -> float | None:
        """Say when an agent was last heard, in unix time, if it has been lately."""
        link = self._hub.get(agent_id)
        away = self._away.get(agent_id)
        heard = link.heard if link else away.heard if away else None
        return None if heard is None else self._clock.time() - (self._clock.monotonic() - heard)

    async def serve(self, ready: Ready) -> None:
        """Sweep until stopped."""
        now = self._clock.monotonic()
        async with self._store.read() as conn:
            for agent_id, fence in await rows.linked_agents(conn, self._replica):
                # Left by the replica's previous process: they have as long as anybody to come back.
                self._away.setdefault(agent_id, Away(heard=now, fence=fence))
            self._fleet = await rows.count_agents(conn)
        ready()
        written = now
        while True:
            await self._clock.sleep(SWEEP_EVERY)
            self._close_silent()
            try:
                await self._end_departed()
            except Unavailable as error:
                log.warning("departures can't be stored; the next sweep tries again", reason=error.detail)
            if self._clock.monotonic() - written >= WRITE_BEHIND_EVERY:
                written = self._clock.monotonic()
                await self.write_behind()
                async with self._store.read() as conn:
                    self._fleet = await rows.count_agents(conn)

    def _close_silent(self) -> None:
        now = self._clock.monotonic()
        for link in self._hub:
            if link.is_silent(now) and self._hub.cut(link, SILENT, "silent"):
                self.left(link)

    async def _end_departed(self) -> None:
        now = self._clock.monotonic()
        gone = {i: away for i, away in self._away.items() if now - away.heard >= self.patience}
        gone = {i: away for i, away in gone.items() if self._hub.get(i) is None}
        if not gone:
            return
        wall = self._clock.time()
        departures = [
            writes.Departure(agent_id=i, fence=away.fence, last_seen=wall - (now - away.heard))
            for i, away in gone.items()
        ]
        if self.on_silent is not None:
            await self.on_silent(departures)
        ended = await self._store.writer.submit_many(writes.END_LINKS, departures)
        for (agent_id, away), answer in zip(gone.items(), ended, strict=True):
            # What could not be stored stays, for the next sweep.
            if not isinstance(answer, Exception) and self._away.get(agent_id) is away:
                del self._away[agent_id]

    async def write_behind(self) -> None:
        """Write what heartbeats have told since the last time."""
        wall, now = self._clock.time(), self._clock.monotonic()
        heard = [
            writes.Heard(
                agent_id=link.agent_id,
                last_seen=wall - (now - link.heard),
                readings=msgspec.structs.asdict(link.readings) if link.readings else None,
                clock_offset=link.clock_offset,
            )
            for link in self._hub
        ]
        if heard:
            await self._store.writer.submit_many(writes.NOTE_HEARD, heard)
