"""What a short-lived program of the owner does with a center's data, beside a center that may be running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outrider.center.access.owner import Opened, open_account
from outrider.center.settings import CenterSettings
from outrider.center.store.database import StoreUnusable
from outrider.center.store.engine import Store, open_store
from outrider.center.store.sqlite import FILE
from outrider.domain.actors import Actor
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks


async def reset_password(
    settings: CenterSettings, username: str, *, password: str | None, remove_totp: bool, by: Actor
) -> Opened:
    """Let a user of this center in again; see `open_account`. Raises StoreUnusable where no center is."""
    async with visited(settings) as store:
        return await open_account(store, username, password=password, remove_totp=remove_totp, by=by)


@asynccontextmanager
async def visited(settings: CenterSettings) -> AsyncIterator[Store]:
    """Open the center's store for the block, its writer running. Raises StoreUnusable where no center is."""
    home = settings.home.expanduser()
    if not settings.database_url and not await asyncio.to_thread((home / FILE).exists):
        raise StoreUnusable(
            f"There is no center in {home}: name its data folder with --home.", home=str(home)
        )
    store = await open_store(settings.database_url or None, home=home, clock=SystemClock(), beside=True)
    try:
        async with Tasks("visit") as tasks:
            ready = asyncio.Event()
            tasks.spawn("writer", store.writer.serve(ready.set))
            await ready.wait()
            yield store
    finally:
        await store.close()
