"""What people do with the microservices of a host."""

import msgspec

from outrider.center.fleet.writes import no_such_agent
from outrider.center.microservices.rows import (
    MicroserviceRow,
    agent_is_there,
    find_microservice,
    microservices_of,
    no_such_microservice,
)
from outrider.center.microservices.telling import ConfigTelling
from outrider.center.microservices.writes import (
    REMOVE_MICROSERVICES,
    STORE_CONFIGS,
    NewConfig,
    Removal,
)
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.errors import Unavailable
from outrider.domain.ids import AgentId, MicroserviceId
from outrider.domain.microservices import check_config, parse_microservice_id


class MicroserviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A microservice as people see it: `bytes` is the size of its configuration. Times are unix seconds."""

    id: str
    bytes: int
    created: float
    changed: float
    changed_by: str


class ConfigView(MicroserviceView, frozen=True, kw_only=True):
    """A microservice with its configuration, as it was given."""

    config: str


class MicroserviceService:
    """Keeps configurations, and lets agents know of them."""

    def __init__(self, store: Store, telling: ConfigTelling) -> None:
        """Take the store and what tells agents."""
        self._store = store
        self._telling = telling

    async def microservices(self, agent_id: str) -> list[MicroserviceView]:
        """List an agent's microservices by id. Raises `NotFound`."""
        async with self._store.read() as conn:
            if not await agent_is_there(conn, agent_id):
                raise no_such_agent(agent_id)
            return [_view(row) for row in await microservices_of(conn, agent_id)]

    async def config(self, agent_id: str, microservice: str) -> ConfigView:
        """Show a microservice with its configuration. Raises `NotFound`."""
        async with self._store.read() as conn:
            row = await find_microservice(conn, agent_id, microservice)
            if row is None:
                there = await agent_is_there(conn, agent_id)
                raise no_such_microservice(microservice) if there else no_such_agent(agent_id)
        return ConfigView(**msgspec.structs.asdict(_view(row)), config=row.config)

    async def configure(
        self, agent_id: str, microservice: str, config: str, *, by: Actor
    ) -> MicroserviceView:
        """Store a configuration, and tell its agent; the same text again changes nothing.

        Raises `NotFound` for the agent, `Invalid` for an id or a text, `Conflict` when there is no more room.
        """
        name, size = parse_microservice_id(microservice), check_config(config)
        new = NewConfig(agent_id=AgentId(agent_id), id=name, config=config, bytes=size, by=by)
        try:
            stored = await self._store.writer.submit(STORE_CONFIGS, new)
        except Unavailable as error:
            self._tell_if_unsure(error, new.agent_id, name)
            raise
        if stored.has_changed:
            self._telling.changed(new.agent_id, name)
        return _view(stored.row)

    async def remove(self, agent_id: str, microservice: str, *, by: Actor) -> None:
        """Remove a microservice with its configuration, and tell its agent. Raises `NotFound`."""
        gone = Removal(agent_id=AgentId(agent_id), id=MicroserviceId(microservice), by=by)
        try:
            await self._store.writer.submit(REMOVE_MICROSERVICES, gone)
        except Unavailable as error:
            self._tell_if_unsure(error, gone.agent_id, gone.id)
            raise
        self._telling.changed(gone.agent_id, gone.id)

    def _tell_if_unsure(self, error: Unavailable, agent_id: AgentId, microservice: MicroserviceId) -> None:
        """Where nobody knows whether it is written, tell what there is."""
        if error.fields.get("may_be_written"):
            self._telling.changed(agent_id, microservice)


def _view(row: MicroserviceRow) -> MicroserviceView:
    return MicroserviceView(
        id=row.id, bytes=row.bytes, created=row.created, changed=row.changed, changed_by=row.changed_by
    )
