"""Telling agents their profiles and tags: at each link, and at once after a change.

One service reads and tells, in turn: what is said last on a link is what was read last. Nothing has to be
kept of what was told: a link that breaks is followed by another, at which all is told again.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.groups.given import Given, given
from outrider.center.link.hub import Hub
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agent_tags, agents
from outrider.domain.connection_states import Approval
from outrider.domain.errors import Unavailable
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.messages import FromCenter, Profile, Tags, TagValue

log = logs.get(__name__)

_AT_ONCE: Final = 200
_AGAIN: Final = 1.0
_TAGS: Final = Query(
    sa.select(
        agent_tags.c.agent_id,
        agent_tags.c.name,
        agent_tags.c.value,
        agent_tags.c.owner,
        agent_tags.c.version,
    )
    .where(one_of(agent_tags.c.agent_id, "ids"), agent_tags.c.is_pair)
    .order_by(agent_tags.c.name)
)
_APPROVED: Final = Query(
    sa.select(agents.c.id).where(one_of(agents.c.id, "ids"), agents.c.approval == Approval.APPROVED.value)
)


class Telling:
    """Tells agents with an open link what the center has for them. A service."""

    name = "telling agents"

    def __init__(self, store: Store, hub: Hub, clock: Clock, position: Callable[[], int]) -> None:
        """`position` says how far this center's history is: the version of a profile that is told."""
        self._store = store
        self._hub = hub
        self._clock = clock
        self._position = position
        self._due: dict[AgentId, int] = {}
        self._is_due = asyncio.Event()

    def soon(self, ids: Iterable[AgentId]) -> None:
        """Tell those of these agents that have a link, as all is that has been written until now."""
        for agent_id in ids:
            if self._hub.get(agent_id) is not None:
                self._due.setdefault(agent_id, 0)
        if self._due:
            self._is_due.set()

    def took(self, agent_id: AgentId, number: int) -> None:
        """Tell an agent its tags, in which its writes up to `number` are settled."""
        self._due[agent_id] = max(number, self._due.get(agent_id, 0))
        self._is_due.set()

    def everybody(self) -> None:
        """Tell all agents that have a link."""
        self.soon([link.agent_id for link in self._hub])

    async def words_for(self, agent_id: AgentId, taken: int) -> tuple[Tags, Profile | None]:
        """Read what an agent is to be told that reports without a link; a profile once it is approved."""
        version = self._position()
        found = await self._store.trip(lambda conn: _look(conn, [agent_id]))
        return _words(found, agent_id, taken=taken, version=version)

    async def serve(self, ready: Ready) -> None:
        """Tell what is due until stopped."""
        ready()
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while self._due:
                await self._tell_some()

    async def _tell_some(self) -> None:
        some: dict[AgentId, int] = {}
        while self._due and len(some) < _AT_ONCE:
            agent_id = next(iter(self._due))
            some[agent_id] = self._due.pop(agent_id)
        there = [agent_id for agent_id in some if self._hub.get(agent_id) is not None]
        version = self._position()
        try:
            found = await self._store.trip(lambda conn: _look(conn, there))
        except Unavailable as error:
            log.warning("agents wait for their profiles and tags", reason=error.detail)
            for agent_id, number in some.items():
                self.took(agent_id, number)
            await self._clock.sleep(_AGAIN)
            return
        for agent_id in there:
            tags, profile = _words(found, agent_id, taken=some[agent_id], version=version)
            told: list[FromCenter] = [tags] if profile is None else [tags, profile]
            self._hub.post(agent_id, told)


class _Found(msgspec.Struct, frozen=True):
    approved: set[str]
    given: Mapping[AgentId, Given]
    tags: Mapping[AgentId, list[TagValue]]


def _words(found: _Found, agent_id: AgentId, *, taken: int, version: int) -> tuple[Tags, Profile | None]:
    tags = Tags(tags=tuple(found.tags.get(agent_id, ())), taken=taken, optional=True)
    if agent_id not in found.approved:
        return tags, None
    return tags, Profile(version=version, params=found.given[agent_id].params, optional=True)


async def _look(conn: Connection, ids: Sequence[AgentId]) -> _Found:
    tags: dict[AgentId, list[TagValue]] = {}
    for agent_id, *tag in await _TAGS.all(conn, ids=ids):
        tags.setdefault(agent_id, []).append(TagValue(*tag))
    approved = {row[0] for row in await _APPROVED.all(conn, ids=ids)}
    return _Found(approved, await given(conn, ids), tags)
