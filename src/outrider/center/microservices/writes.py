"""What changes microservices."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.writes import no_such_agent
from outrider.center.microservices.rows import agent_is_there, find_microservice, no_such_microservice
from outrider.center.store.schema import microservices
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import Conflict, OutriderError
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


class StoreConfigs:
    """Store configurations; a microservice that is not known is from then on."""

    name = "store configurations"
    rank = 33

    async def apply(self, tx: Transaction, items: Sequence[NewConfig]) -> Sequence[bool | Exception]:
        """Return for each whether that changed anything; `NotFound` or `Conflict` for one that can't be."""
        results: list[bool | Exception] = []
        for item in items:
            try:
                results.append(await self._store(tx, item))
            except OutriderError as error:
                results.append(error)
        return results

    async def _store(self, tx: Transaction, item: NewConfig) -> bool:
        if not await agent_is_there(tx.conn, item.agent_id):
            raise no_such_agent(item.agent_id)
        version = version_of(item.config)
        row = await find_microservice(tx.conn, item.agent_id, item.id)
        if row is not None and row.version == version:
            return False
        await self._check_room(tx, item)
        values = {
            "config": item.config,
            "version": version,
            "bytes": item.bytes,
            "changed": tx.now,
            "changed_by": item.by.name,
        }
        if row is None:
            new = {"agent_id": item.agent_id, "id": item.id, "created": tx.now, **values}
            await tx.conn.execute(sa.insert(microservices).values(**new))
        else:
            await tx.conn.execute(
                sa.update(microservices)
                .where(microservices.c.agent_id == item.agent_id, microservices.c.id == item.id)
                .values(**values)
            )
        # The text may hold passwords: who may read the audit log may not be who may read these.
        said = {"microservice": item.id, "bytes": item.bytes, "new": row is None}
        tx.audit(item.by, "microservice.configure", item.agent_id, said)
        tx.event("microservice.configured", item.agent_id, {"microservice": item.id, "by": item.by.name})
        return True

    async def _check_room(self, tx: Transaction, item: NewConfig) -> None:
        others = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(microservices.c.bytes), 0)).where(
            microservices.c.agent_id == item.agent_id, microservices.c.id != item.id
        )
        count, size = (await tx.conn.execute(others)).one()
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
