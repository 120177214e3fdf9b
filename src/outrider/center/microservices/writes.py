"""What changes microservices."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.writes import no_such_agent
from outrider.center.microservices.rows import (
    MicroserviceRow,
    agent_is_there,
    find_microservice,
    no_such_microservice,
)
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.query import Query
from outrider.center.store.schema import microservices
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import Conflict
from outrider.domain.ids import AgentId, MicroserviceId
from outrider.domain.microservices import MAX_CONFIGS, MAX_MICROSERVICES, version_of


class NewConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration to be stored; id and text have been checked."""

    agent_id: AgentId
    id: MicroserviceId
    config: str
    bytes: int
    by: Actor


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A microservice to be removed."""

    agent_id: AgentId
    id: MicroserviceId
    by: Actor


_OF_ONE: Final = (
    microservices.c.agent_id == sa.bindparam("agent"),
    microservices.c.id == sa.bindparam("microservice"),
)
_OTHERS: Final = Query(
    sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(microservices.c.bytes), 0)).where(
        _OF_ONE[0], microservices.c.id != sa.bindparam("microservice")
    )
)
_NEW: Final[dict[str, sa.BindParameter[Any]]] = {
    name: sa.bindparam(f"new_{name}") for name in ("config", "version", "bytes", "changed", "changed_by")
}
_UPDATE: Final = Query(sa.update(microservices).where(*_OF_ONE).values(**_NEW))


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored now, and whether that is another text than before."""

    row: MicroserviceRow
    has_changed: bool


class StoreConfigs:
    """Store configurations; a microservice that is not known is from then on."""

    name = "store configurations"
    rank = 33

    async def apply(self, tx: Transaction, items: Sequence[NewConfig]) -> Sequence[Stored | Exception]:
        """Store each; `NotFound` or `Conflict` for one that can't be."""
        return await one_by_one(tx, items, self._store)

    async def _store(self, tx: Transaction, item: NewConfig) -> Stored:
        before = await find_microservice(tx.conn, item.agent_id, item.id)
        version = version_of(item.config)
        if before is not None and before.version == version:
            return Stored(row=before, has_changed=False)
        if before is None and not await agent_is_there(tx.conn, item.agent_id):
            raise no_such_agent(item.agent_id)
        await self._check_room(tx, item)
        row = MicroserviceRow(
            id=item.id,
            version=version,
            bytes=item.bytes,
            created=tx.now if before is None else before.created,
            changed=tx.now,
            changed_by=item.by.name,
        )
        if before is None:
            values = {**msgspec.structs.asdict(row), "agent_id": item.agent_id, "config": item.config}
            await tx.conn.execute(sa.insert(microservices).values(**values))
        else:
            await _UPDATE.all(
                tx.conn,
                agent=item.agent_id,
                microservice=item.id,
                new_config=item.config,
                new_version=row.version,
                new_bytes=row.bytes,
                new_changed=row.changed,
                new_changed_by=row.changed_by,
            )
        # The text may hold passwords: who may read the audit log may not be who may read these.
        said = {"microservice": item.id, "bytes": item.bytes, "new": before is None}
        tx.audit(item.by, "microservice.configure", item.agent_id, said)
        tx.event("microservice.configured", item.agent_id, {"microservice": item.id, "by": item.by.name})
        return Stored(row=row, has_changed=True)

    async def _check_room(self, tx: Transaction, item: NewConfig) -> None:
        found = await _OTHERS.all(tx.conn, agent=item.agent_id, microservice=item.id)
        count, size = found[0]
        if count >= MAX_MICROSERVICES:
            raise Conflict(
                f"An agent has at most {MAX_MICROSERVICES} microservices; remove one first.",
                limit=MAX_MICROSERVICES,
            )
        if size + item.bytes > MAX_CONFIGS:
            raise Conflict(
                f"The configurations of an agent have at most {MAX_CONFIGS} bytes together; the others have "
                f"{size}.",
                limit=MAX_CONFIGS,
            )


class RemoveMicroservices:
    """Remove microservices with their configurations."""

    name = "remove microservices"
    rank = 34

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """Remove each; `NotFound` for one that is not there."""
        results: list[Exception | None] = []
        for item in items:
            row = await find_microservice(tx.conn, item.agent_id, item.id)
            if row is None:
                there = await agent_is_there(tx.conn, item.agent_id)
                results.append(no_such_microservice(item.id) if there else no_such_agent(item.agent_id))
                continue
            await tx.conn.execute(
                sa.delete(microservices).where(
                    microservices.c.agent_id == item.agent_id, microservices.c.id == item.id
                )
            )
            tx.audit(
                item.by, "microservice.remove", item.agent_id, {"microservice": item.id, "bytes": row.bytes}
            )
            tx.event("microservice.removed", item.agent_id, {"microservice": item.id, "by": item.by.name})
            results.append(None)
        return results


STORE_CONFIGS = StoreConfigs()
REMOVE_MICROSERVICES = RemoveMicroservices()
