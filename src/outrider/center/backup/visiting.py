"""The database of a center for a while, for what is no running center."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from outrider.center.store.database import Database
from outrider.center.store.engine import open_database


@asynccontextmanager
async def visited(url: str | None, home: Path, *, beside: bool = False) -> AsyncIterator[Database]:
    """Open the database for the block; `beside` a center that may have it open. Faults are Unavailable."""
    database = open_database(url, home=home, beside=beside)
    try:
        yield database
    except Exception as error:
        fault = database.fault_of(error)
        if fault is None:
            raise
        raise fault.unavailable() from error
    finally:
        await database.close()
