"""Opening the store: what is refused, what is made, what is kept."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from outrider.center.store.database import StoreUnusable
from outrider.center.store.engine import open_store
from outrider.center.store.writer import Transaction
from outrider.domain.errors import Unavailable
from tests.integration.center.store.parts import Do, HurriedClock, Note, notes, served


@pytest.mark.parametrize("url", ["mysql://host/db", "center.db", "postgresql+asyncpg://host/db"])
async def test_an_unknown_kind_of_address_is_refused(home: Path, url: str) -> None:
    """The message names what is supported, and not the address, which holds a password."""
    with pytest.raises(StoreUnusable, match="postgresql://user:password@host/database") as raised:
        await open_store(url, home=home, clock=HurriedClock())
    assert "/db" not in raised.value.detail.replace("/database", "")


async def test_a_server_that_does_not_answer_is_unavailable(home: Path) -> None:
    """A wrong port is told as such and nothing is left open."""
    with pytest.raises(Unavailable, match="can't be reached"):
        await open_store("postgresql://user:secret@127.0.0.1:1/db", home=home, clock=HurriedClock())


async def test_rows_and_epoch_outlive_the_process(database_url: str | None, home: Path) -> None:
    """Opening again finds what was written, under the same epoch."""
    epochs: list[str] = []
    found: dict[str, str] = {}
    for key in ("a", "b"):
        store = await open_store(database_url, home=home, clock=HurriedClock())
        epochs.append(store.epoch)
        async with served(store.writer):
            await store.writer.submit(Note(), (key, "x"))
            found = await notes(store)
        await store.close()
    assert found == {"a": "x", "b": "x"}
    assert epochs[0] == epochs[1] != ""


async def test_a_database_of_a_newer_release_is_refused(database_url: str | None, home: Path) -> None:
    """The older release says which one is needed and changes nothing."""

    async def as_if_newer(tx: Transaction) -> None:
        await tx.conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    store = await open_store(database_url, home=home, clock=HurriedClock())
    async with served(store.writer):
        await store.writer.submit(Do(), as_if_newer)
    await store.close()
    with pytest.raises(StoreUnusable, match="newer release") as raised:
        await open_store(database_url, home=home, clock=HurriedClock())
    assert raised.value.fields["revision"] == "9999"


async def test_two_centers_can_t_have_one_home(home: Path) -> None:
    """The second one is refused until the first has closed."""
    first = await open_store(None, home=home, clock=HurriedClock())
    with pytest.raises(StoreUnusable, match="Another center is running"):
        await open_store(None, home=home, clock=HurriedClock())
    await first.close()
    second = await open_store(None, home=home, clock=HurriedClock())
    await second.close()


async def test_nobody_else_may_read_the_files(home: Path) -> None:
    """The home is the owner's alone, and so is every file in it, whatever the umask says."""
    before = os.umask(0)
    try:
        store = await open_store(None, home=home, clock=HurriedClock())
        async with served(store.writer):
            await store.writer.submit(Note(), ("a", "x"))
            modes = _modes(home)
        await store.close()
    finally:
        os.umask(before)
    files = ("center.db", "center.db-wal", "center.db-shm", "center.lock")
    assert modes == {"home": 0o700, **dict.fromkeys(files, 0o600)}


def _modes(home: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir())}


async def test_sqlite_is_set_to_lose_nothing(home: Path) -> None:
    """The writer commits through a write-ahead log that is synced, and foreign keys are enforced."""

    async def look(tx: Transaction) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return {name: (await tx.conn.execute(text(f"PRAGMA {name}"))).scalar_one() for name in names}

    store = await open_store(None, home=home, clock=HurriedClock())
    async with served(store.writer):
        assert await store.writer.submit(Do(), look) == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
        }
    await store.close()


_OPEN_AND_LIST: str = """
import asyncio, pathlib, sys
from outrider.center.store.engine import open_store
from outrider.kit.clock import SystemClock

async def main() -> None:
    store = await open_store(None, home=pathlib.Path(sys.argv[1]), clock=SystemClock())
    await store.close()
    print(*sorted({"alembic", "asyncpg"} & set(sys.modules)))

asyncio.run(main())
"""


def test_a_start_with_nothing_to_migrate_loads_no_alembic(home: Path) -> None:
    """Only the first start pays for Alembic, and SQLite never for the driver of PostgreSQL."""
    loaded = [
        subprocess.run(
            [sys.executable, "-c", _OPEN_AND_LIST, str(home)],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.split()
        for _ in range(2)
    ]
    assert loaded == [["alembic"], []]
