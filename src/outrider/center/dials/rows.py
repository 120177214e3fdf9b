"""Dials as they are kept, and the queries that read them."""

from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import agent_certificates, dials
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, DialId


class DialRow(msgspec.Struct, frozen=True, kw_only=True):
    """An address at which an agent waits; `agent_id` is None until one has opened a link there."""

    id: DialId
    address: str
    agent_id: AgentId | None
    created: float
    created_by: str


_COLUMNS: Final = [dials.c[name] for name in DialRow.__struct_fields__]


def no_such_dial(dial_id: str) -> NotFound:
    """Make the error for a dial that does not exist."""
    return NotFound(f"There is no dial {dial_id[:80]}.", dial_id=dial_id[:80])


async def all_dials(conn: Connection) -> list[DialRow]:
    """List the dials in the order in which they were added."""
    rows = await conn.execute(sa.select(*_COLUMNS).order_by(dials.c.id))
    return [as_struct(row, DialRow) for row in rows]


async def dial_with(conn: Connection, dial_id: str) -> DialRow:
    """Find a dial. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*_COLUMNS).where(dials.c.id == dial_id))).one_or_none()
    if row is None:
        raise no_such_dial(dial_id)
    return as_struct(row, DialRow)


async def dial_at(conn: Connection, address: str) -> DialRow | None:
    """Find the dial of an address."""
    row = (await conn.execute(sa.select(*_COLUMNS).where(dials.c.address == address))).one_or_none()
    return None if row is None else as_struct(row, DialRow)


async def dial_of(conn: Connection, agent_id: AgentId) -> DialRow | None:
    """Find the dial of an agent."""
    row = (await conn.execute(sa.select(*_COLUMNS).where(dials.c.agent_id == agent_id))).one_or_none()
    return None if row is None else as_struct(row, DialRow)


async def certificate_of(conn: Connection, agent_id: AgentId) -> str:
    """Find the certificate that an agent's host made for its key, as PEM; empty where none is known."""
    query = sa.select(agent_certificates.c.certificate).where(agent_certificates.c.agent_id == agent_id)
    found: str | None = (await conn.execute(query)).scalar_one_or_none()
    return found or ""
