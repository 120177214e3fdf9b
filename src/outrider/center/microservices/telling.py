"""Telling agents the configurations of their microservices: what has changed at once, else what they lack.

One service reads and tells, in turn: what is said last on a link is what was read last. Nothing is kept of
what was told. Each message has the digest that the agent has to come to; one that comes to another says so,
and is told all names and versions, and then the texts that it asks for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.link.hub import Hub
from outrider.center.microservices.rows import texts_of, versions_of
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agents
from outrider.domain.connection_states import Approval
from outrider.domain.errors import Unavailable
from outrider.domain.ids import AgentId, MicroserviceId
from outrider.domain.microservices import digest_of
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.protocol.messages import Configs, ConfigsHeld, ConfigText, ConfigVersion

log = logs.get(__name__)

_AT_ONCE: Final = 200
_AGAIN: Final = 1.0
_FEW: Final = 4
"""For how many agents a look is quicker than the way to a reader's thread."""
_TEXT_BYTES: Final = 256 * 1024
"""Of texts in one message: a frame holds 1 MiB. What is left out the agent misses, and asks for."""
_UNSAID: Final = "unsaid"
"""In place of a digest: it is nobody's."""
_APPROVED: Final = Query(
    sa.select(agents.c.id).where(one_of(agents.c.id, "ids"), agents.c.approval == Approval.APPROVED.value)
)


class _Due(msgspec.Struct, kw_only=True):
    """What is due to an agent: texts, and, when it has said a digest or should, all names."""

    texts: dict[MicroserviceId, None] = {}
    held: str | None = None


class ConfigTelling:
    """Tells agents with an open link what has changed. A service."""

    name = "telling configurations"

    def __init__(self, store: Store, hub: Hub, clock: Clock) -> None:
        """Take where configurations are kept, and the links."""
        self._store = store
        self._hub = hub
        self._clock = clock
        self._due: dict[AgentId, _Due] = {}
        self._is_due = asyncio.Event()

    def changed(self, agent_id: AgentId, microservice: MicroserviceId) -> None:
        """Tell an agent the configuration of one of its microservices, or that it is gone."""
        if self._hub.get(agent_id) is not None:
            self._due_to(agent_id).texts[microservice] = None

    def soon(self, agent_id: AgentId) -> None:
        """Tell an agent that has a link which microservices there are: it was told nothing until now."""
        if self._hub.get(agent_id) is not None:
            self._due_to(agent_id).held = _UNSAID

    def asked(self, agent_id: AgentId, held: ConfigsHeld) -> None:
        """Answer an agent on its link."""
        due = self._due_to(agent_id)
        due.texts |= dict.fromkeys(held.wanted)
        if not held.wanted:
            due.held = held.digest

    async def answer_to(self, agent_id: AgentId, held: ConfigsHeld) -> Configs | None:
        """Answer an agent that reports without a link; None when there is nothing to tell."""
        due = _Due(texts=dict.fromkeys(held.wanted), held=None if held.wanted else held.digest)
        return (await self._look_for({agent_id: due})).get(agent_id)

    async def serve(self, ready: Ready) -> None:
        """Tell what is due until stopped."""
        ready()
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while self._due:
                await self._tell_some()

    async def _look_for(self, due: Mapping[AgentId, _Due]) -> dict[AgentId, Configs]:
        if len(due) > _FEW:
            return await self._store.trip(lambda conn: _look(conn, due))
        async with self._store.read() as conn:
            return await _look(conn, due)

    def _due_to(self, agent_id: AgentId) -> _Due:
        self._is_due.set()
        return self._due.setdefault(agent_id, _Due())

    async def _tell_some(self) -> None:
        some: dict[AgentId, _Due] = {}
        while self._due and len(some) < _AT_ONCE:
            agent_id = next(iter(self._due))
            due = self._due.pop(agent_id)
            if self._hub.get(agent_id) is not None:
                some[agent_id] = due
        try:
            answers = await self._look_for(some)
        except Unavailable as error:
            log.warning("agents wait for their configurations", reason=error.detail)
            for agent_id, due in some.items():
                later = self._due_to(agent_id)
                later.texts = due.texts | later.texts
                later.held = due.held if later.held is None else later.held
            await self._clock.sleep(_AGAIN)
            return
        for agent_id, answer in answers.items():
            self._hub.post(agent_id, [answer])


async def _look(conn: Connection, due: Mapping[AgentId, _Due]) -> dict[AgentId, Configs]:
    ids = [row[0] for row in await _APPROVED.all(conn, ids=sorted(due))]
    versions = await versions_of(conn, ids)
    answers: dict[AgentId, Configs] = {}
    for agent_id in ids:
        asked, there = due[agent_id], versions[agent_id]
        texts = await texts_of(conn, agent_id, list(asked.texts)) if asked.texts else []
        digest = digest_of(there)
        if asked.texts or asked.held not in (None, digest):
            answers[agent_id] = Configs(
                digest=digest,
                changed=_fitting(texts),
                removed=tuple(name for name in asked.texts if name not in there),
                known=None
                if asked.held in (None, digest)
                else tuple(ConfigVersion(name, there[name]) for name in sorted(there)),
                optional=True,
            )
    return answers


def _fitting(texts: Sequence[tuple[MicroserviceId, str]]) -> tuple[ConfigText, ...]:
    fitting: list[ConfigText] = []
    room = _TEXT_BYTES
    for name, config in texts:
        room -= len(config.encode())
        if fitting and room < 0:
            break
        fitting.append(ConfigText(name, config))
    return tuple(fitting)
