"""What people do with dials."""

from enum import StrEnum

import msgspec

from outrider.center.dials.dialler import Dialler
from outrider.center.dials.rows import DialRow, all_dials, dial_with
from outrider.center.dials.writes import ADD_DIALS, MOVE_DIALS, REMOVE_DIALS, Move, NewDial, Removal
from outrider.center.link.hub import Hub
from outrider.center.settings import parse_address
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.errors import Invalid
from outrider.domain.ids import AgentId, DialId, new_dial_id
from outrider.kit.clock import Clock


class DialState(StrEnum):
    """How it stands with a dial."""

    DIALLING = "dialling"
    CONNECTED = "connected"
    """Somebody answers, and the agent has not opened its link yet."""
    LINKED = "linked"


class DialView(msgspec.Struct, frozen=True, kw_only=True):
    """An address at which an agent waits.

    `agent_id` is null until one has opened its link there. `reason` says why the last try failed; it is
    empty once one has succeeded.
    """

    id: DialId
    address: str
    agent_id: AgentId | None
    state: DialState
    reason: str
    created: float
    created_by: str


class DialService:
    """Adds, moves and removes dials."""

    def __init__(self, store: Store, dialler: Dialler, hub: Hub, clock: Clock) -> None:
        """Take who dials, and the links that are open."""
        self._store = store
        self._dialler = dialler
        self._hub = hub
        self._clock = clock

    async def dials(self) -> list[DialView]:
        """List the dials, oldest first."""
        async with self._store.read() as conn:
            return [self._view(row) for row in await all_dials(conn)]

    async def dial(self, dial_id: str) -> DialView:
        """Show a dial. Raises `NotFound`."""
        async with self._store.read() as conn:
            return self._view(await dial_with(conn, dial_id))

    async def add(self, address: str, *, by: Actor) -> DialView:
        """Dial an address from now on; one that is dialled already stays as it is.

        Raises `Invalid` for what is no address.
        """
        wanted = NewDial(id=new_dial_id(self._clock.time()), address=_address(address), by=by)
        row = await self._store.writer.submit(ADD_DIALS, wanted)
        self._dialler.keep(row.id)
        return self._view(row)

    async def move(self, dial_id: str, address: str, *, by: Actor) -> DialView:
        """Dial the same agent at another address. Raises `Invalid`, `NotFound` or `Conflict`."""
        wanted = Move(id=DialId(dial_id), address=_address(address), by=by)
        row = await self._store.writer.submit(MOVE_DIALS, wanted)
        self._dialler.moved(row.id)
        return self._view(row)

    async def remove(self, dial_id: str, *, by: Actor) -> None:
        """Dial no more, and end what is open. The agent stays, and waits. Raises `NotFound`."""
        await self._store.writer.submit(REMOVE_DIALS, Removal(id=DialId(dial_id), by=by))
        self._dialler.drop(DialId(dial_id))

    def _view(self, row: DialRow) -> DialView:
        standing = self._dialler.standing_of(row.id)
        state = DialState.DIALLING
        if row.agent_id is not None and self._hub.get(row.agent_id) is not None:
            state = DialState.LINKED
        elif standing is not None and standing.is_connected:
            state = DialState.CONNECTED
        return DialView(
            id=row.id,
            address=row.address,
            agent_id=row.agent_id,
            state=state,
            reason="" if standing is None or state is DialState.LINKED else standing.reason,
            created=row.created,
            created_by=row.created_by,
        )


def _address(text: str) -> str:
    """Write an address in its one form. Raises `Invalid`."""
    try:
        found = parse_address(text.strip(), "address")
    except ValueError as error:
        raise Invalid(f"{error}.", field="address") from None
    if not found.port:
        raise Invalid("The address needs the port that the agent waits on.", field="address")
    return f"[{found.host}]:{found.port}" if ":" in found.host else f"{found.host}:{found.port}"
