"""The enrolment key for the agent on the center's own machine, given until one has joined with it."""

from typing import Final

import msgspec

from outrider.center.fleet.keys import KeyRow
from outrider.center.fleet.service import FleetService
from outrider.center.standing import KEEP_FACTS, Fact, fact
from outrider.center.store.engine import Store
from outrider.domain.actors import CENTER

_KEY: Final = "local_enrolment_key"
_TTL: Final = 1200.0
_BY: Final = msgspec.structs.replace(CENTER, name="outrider up")


async def local_enrolment_key(store: Store, fleet: FleetService) -> str | None:
    """Return a key for the local agent; None when one has joined before, even if it was deleted since."""
    async with store.read() as conn:
        given = await fact(conn, _KEY)
    if given is not None:
        earlier = await _find(fleet, given)
        if earlier is None or earlier.used:
            return None
        await fleet.revoke_key(earlier.id, by=_BY)
    made = await fleet.make_key(by=_BY, label="", uses=1, ttl=_TTL, approve=True, tags=[])
    await store.writer.submit(KEEP_FACTS, Fact(key=_KEY, value=made.id))
    return made.key


async def _find(fleet: FleetService, key_id: str) -> KeyRow | None:
    return next((key for key in await fleet.list_keys() if key.id == key_id), None)
