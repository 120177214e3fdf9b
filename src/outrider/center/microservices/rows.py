"""Microservices as they are kept, and the queries that read them."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agents, microservices
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, MicroserviceId


class MicroserviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A microservice without its text. Times are unix seconds."""

    id: MicroserviceId
    version: str
    bytes: int
    created: float
    changed: float
    changed_by: str


class ConfigRow(MicroserviceRow, frozen=True, kw_only=True):
    """A microservice with its configuration."""

    config: str


_OF_AGENT: Final = microservices.c.agent_id == sa.bindparam("agent")
_ONE: Final = Query(
    sa.select(*(microservices.c[name] for name in ConfigRow.__struct_fields__)).where(
        _OF_AGENT, microservices.c.id == sa.bindparam("microservice")
    )
)
_LIST: Final = Query(
    sa.select(*(microservices.c[name] for name in MicroserviceRow.__struct_fields__))
    .where(_OF_AGENT)
    .order_by(microservices.c.id)
)
_VERSIONS: Final = Query(
    sa.select(microservices.c.agent_id, microservices.c.id, microservices.c.version).where(
        one_of(microservices.c.agent_id, "ids")
    )
)
_TEXTS: Final = Query(
    sa.select(microservices.c.id, microservices.c.config)
    .where(_OF_AGENT, one_of(microservices.c.id, "wanted"))
    .order_by(microservices.c.id)
)
_THERE: Final = Query(sa.select(agents.c.id).where(agents.c.id == sa.bindparam("agent")))


def no_such_microservice(microservice: str) -> NotFound:
    """Make the error for a microservice that the agent does not have."""
    return NotFound(f"The agent has no microservice {microservice[:80]!r}.", microservice=microservice[:80])


async def agent_is_there(conn: Connection, agent_id: str) -> bool:
    """Tell whether there is such an agent."""
    return await _THERE.value(conn, agent=agent_id) is not None


async def microservices_of(conn: Connection, agent_id: str) -> list[MicroserviceRow]:
    """List an agent's microservices by id."""
    return await _LIST.structs(conn, MicroserviceRow, agent=agent_id)


async def find_microservice(conn: Connection, agent_id: str, microservice: str) -> ConfigRow | None:
    """Find one with its configuration."""
    found = await _ONE.structs(conn, ConfigRow, agent=agent_id, microservice=microservice)
    return found[0] if found else None


async def versions_of(conn: Connection, ids: Sequence[AgentId]) -> dict[AgentId, dict[MicroserviceId, str]]:
    """Read the versions of all microservices of some agents; every one of these has an entry."""
    found: dict[AgentId, dict[MicroserviceId, str]] = {agent_id: {} for agent_id in ids}
    for agent_id, microservice, version in await _VERSIONS.all(conn, ids=list(ids)):
        found[agent_id][microservice] = version
    return found


async def texts_of(
    conn: Connection, agent_id: AgentId, wanted: Sequence[MicroserviceId]
) -> list[tuple[MicroserviceId, str]]:
    """Read the configurations of those of an agent's microservices that there are."""
    return [(row[0], row[1]) for row in await _TEXTS.all(conn, agent=agent_id, wanted=list(wanted))]
