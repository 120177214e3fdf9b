"""The bus behind the setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.center.bus.contract import BusUrlRefused
from outrider.center.bus.local import LocalBus

if TYPE_CHECKING:
    import random

    from outrider.center.bus.contract import Bus
    from outrider.kit.clock import Clock


def open_bus(url: str | None, database_url: str, *, clock: Clock, rng: random.Random) -> Bus:
    """The bus behind a setting: `local:`, or `postgresql://...` for PostgreSQL's LISTEN and NOTIFY.

    None chooses by the store: PostgreSQL's when the store is PostgreSQL, else a local one. Raises
    BusUrlRefused, naming what is supported.
    """
    chosen = url or (database_url if _is_postgres(database_url) else "local:")
    if chosen == "local:":
        return LocalBus()
    if _is_postgres(chosen):
        # Not loaded for a local bus: asyncpg costs memory and start-up time.
        from outrider.center.bus.postgres import PostgresBus  # noqa: PLC0415 - see above

        return PostgresBus(chosen, clock=clock, rng=rng)
    # The rest of the address may hold a password.
    scheme = chosen.partition(":")[0]
    raise BusUrlRefused(f"the bus can't be {scheme!r}: local: and postgresql://... are supported")


def _is_postgres(url: str) -> bool:
    return url.partition("://")[0].partition("+")[0] in {"postgresql", "postgres"}
