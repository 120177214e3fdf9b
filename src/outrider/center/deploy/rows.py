"""Deployments and host keys as they are kept, and the queries that read them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import IS_UNDER_WAY, agent_details, deployments, ssh_host_keys
from outrider.domain.deployments import DeploymentState, DeployStep
from outrider.domain.errors import NotFound
from outrider.domain.host_keys import HostKey
from outrider.domain.ids import AgentId, DeploymentId, HostKeyId, KeyId


class DeploymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment."""

    id: DeploymentId
    host: str
    port: int
    ssh_user: str
    via: str
    label: str
    state: DeploymentState
    step: DeployStep | None
    steps: list[dict[str, Any]]
    created: float
    created_by: str
    created_by_name: str
    finished: float | None
    code: str
    reason: str
    output: str
    enrolment_key_id: KeyId | None
    agent_id: AgentId | None
    changed: bool | None


class HostKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """The key by which one host is recognised."""

    id: HostKeyId
    host: str
    port: int
    via: str
    blob: bytes
    remembered: float
    remembered_by: str

    @property
    def key(self) -> HostKey:
        """The key."""
        return HostKey(self.blob)


class Place(msgspec.Struct, frozen=True):
    """Where a host is found: its name or address, its port, and by way of which jump host."""

    host: str
    port: int
    via: str = ""


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that an enrolment key let in last."""

    agent_id: AgentId
    key_hash: bytes
    first_seen: float


_SHOWN: Final = [deployments.c[name] for name in DeploymentRow.__struct_fields__]
_KEYS_SHOWN: Final = [ssh_host_keys.c[name] for name in HostKeyRow.__struct_fields__]


async def deployment(conn: Connection, deployment_id: str) -> DeploymentRow:
    """Find a deployment. Raises `NotFound`."""
    found = (await conn.execute(sa.select(*_SHOWN).where(deployments.c.id == deployment_id))).one_or_none()
    if found is None:
        raise NotFound(f"There is no deployment {deployment_id[:80]}.")
    return as_struct(found, DeploymentRow)


async def page(conn: Connection, *, limit: int, before: str | None) -> list[DeploymentRow]:
    """List deployments, newest first; `before` is the last id of the page before."""
    query = sa.select(*_SHOWN).order_by(deployments.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(deployments.c.id < before)
    return [as_struct(row, DeploymentRow) for row in await conn.execute(query)]


async def under_way(conn: Connection) -> list[DeploymentRow]:
    """List deployments that have not ended."""
    query = sa.select(*_SHOWN).where(IS_UNDER_WAY).order_by(deployments.c.id)
    return [as_struct(row, DeploymentRow) for row in await conn.execute(query)]


async def host_key_at(conn: Connection, place: Place) -> HostKeyRow | None:
    """Find the key that is remembered of a place."""
    found = (
        await conn.execute(
            sa.select(*_KEYS_SHOWN).where(
                ssh_host_keys.c.host == place.host,
                ssh_host_keys.c.port == place.port,
                ssh_host_keys.c.via == place.via,
            )
        )
    ).one_or_none()
    return None if found is None else as_struct(found, HostKeyRow)


async def host_keys(conn: Connection, *, limit: int, after: str | None, host: str | None) -> list[HostKeyRow]:
    """List remembered keys in the order of their ids; `after` is the last id of the page before."""
    query = sa.select(*_KEYS_SHOWN).order_by(ssh_host_keys.c.id).limit(limit)
    if after is not None:
        query = query.where(ssh_host_keys.c.id > after)
    if host is not None:
        query = query.where(ssh_host_keys.c.host == host)
    return [as_struct(row, HostKeyRow) for row in await conn.execute(query)]


async def let_in_by(conn: Connection, key_id: KeyId) -> Enrolled | None:
    """Find the agent that an enrolment key of one use has let in."""
    found = (
        await conn.execute(
            sa.select(agent_details.c.agent_id, agent_details.c.key_hash, agent_details.c.first_seen).where(
                agent_details.c.enrolment_key_id == key_id
            )
        )
    ).first()
    return None if found is None else as_struct(found, Enrolled)
