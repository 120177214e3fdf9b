"""Backups of real stores: taken beside a writer, restored on either database, or refused."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from outrider.center.audit.service import AuditService
from outrider.center.backup import tables
from outrider.center.backup.errors import BackupRefused
from outrider.center.backup.restore import MARKER, Restored, restore
from outrider.center.backup.take import Taken, take
from outrider.center.blobs.contract import BlobMissing
from outrider.center.blobs.opening import open_blobs
from outrider.center.settings import CenterSettings
from outrider.center.store.database import StoreUnusable
from outrider.center.store.engine import Store, open_database, open_store
from outrider.center.store.migrate import upgrade
from outrider.center.store.migrations import REVISIONS
from outrider.center.store.schema import audit, command_output, commands, meta, metadata, sessions, users
from outrider.domain.actors import CENTER
from outrider.kit.clock import SystemClock
from tests.fixtures.postgres import PostgresServer
from tests.integration.center.store.parts import HurriedClock, Note, a_command, add, add_commands, served

_CHANGED = ("meta", "audit", "events", "counters", "sessions")
"""Tables that a restore writes to."""


def settings(home: Path, url: str | None) -> CenterSettings:
    """Return the settings of a center there."""
    return CenterSettings(home=home, database_url=url or "")


async def back_up(file: Path, home: Path, url: str | None, **options: Any) -> Taken:
    """Take a backup."""
    said: list[str] = []
    options = {"passphrase": None, "clock": SystemClock(), "by": CENTER, "say": said.append, **options}
    taken = await take(file, settings(home, url), **options)
    assert any("commands" in line for line in said)
    return taken


async def bring_back(file: Path, home: Path, url: str | None, **options: Any) -> Restored:
    """Restore a backup."""
    said: list[str] = []
    options = {"passphrase": None, "replace": False, "clock": SystemClock(), "by": CENTER, **options}
    return await restore(file, settings(home, url), say=said.append, **options)


@contextlib.asynccontextmanager
async def opened(home: Path, url: str | None) -> AsyncIterator[Store]:
    """Open a store whose writer runs, as a running center's does."""
    store = await open_store(url, home=home, clock=HurriedClock())
    try:
        async with served(store.writer):
            yield store
    finally:
        await store.close()


async def furnish(store: Store, home: Path) -> None:
    """Put something into every corner: all kinds of values, pages of rows, blobs, keys, signed-in people."""
    user = {"id": "u", "username": "ä'\"", "password_hash": "h", "role": "viewer", "created": 1, "stamp": "s"}
    await add(store, users, user, {**user, "id": "v", "username": "b", "disabled": True})
    await add(
        store,
        sessions,
        {
            "id": "s",
            "user_id": "u",
            "token_hash": b"\0\xff",
            "created": 1.25,
            "last_used": 2.0,
            "expires": 9e9,
        },
    )
    rows = [
        a_command(
            f"cmd_{n:04}",
            f"agent_{n % 3}",
            state="succeeded",
            params={"n": [None, True, 0.1, "\0"]},
            exit_code=n - 600,
            stdout=bytes([n % 256]) * 10 if n % 2 else None,
            stdout_total=2**40 + n,
            stdout_blob=f"output/cmd_{n:04}/stdout" if n < 3 else None,
        )
        for n in range(1_203)
    ]
    await add_commands(store, *rows)
    pieces = [
        {"command_id": "cmd_0005", "channel": c, "offset": o, "data": b"x"} for c in (1, 2) for o in range(60)
    ]
    await add(store, command_output, *pieces)
    for n in range(3):
        await open_blobs(None, home=home).put(f"output/cmd_{n:04}/stdout", bytes([n]) * 300_000)
    (home / "master.key").write_bytes(b"master")
    (home / "ca").mkdir()
    (home / "ca" / "ca.key.sealed").write_bytes(b"sealed")
    (home / "ca" / "ca.pem").write_bytes(b"pem")


async def content(home: Path, url: str | None, names: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of these tables."""
    store = await open_store(url, home=home, clock=HurriedClock())
    try:
        found = {}
        for name in names:
            table = metadata.tables[name]
            async with store.scan() as conn:
                rows = await conn.execute(sa.select(table).order_by(*table.primary_key.columns))
                found[name] = [tuple(row) for row in rows]
        return found
    finally:
        await store.close()


@pytest.fixture(params=["same", "other"])
def target_url(
    request: pytest.FixtureRequest,
    own_database_server: PostgresServer | None,
    postgres_server: PostgresServer,
) -> Iterator[str | None]:
    """Give an empty database: of the kind that the backup is of, then of the other kind."""
    wants_postgres = (own_database_server is not None) == (request.param == "same")
    with contextlib.ExitStack() as stack:
        if not wants_postgres:
            yield None
            return
        yield postgres_server.url(stack.enter_context(postgres_server.database()))


@pytest.mark.system
async def test_a_running_center_comes_back_on_either_database(
    own_database_url: str | None, target_url: str | None, tmp_path: Path
) -> None:
    """Every row, blob and key, taken beside a writer that goes on; under a new epoch, nobody signed in."""
    home, there, file = tmp_path / "home", tmp_path / "there", tmp_path / "backup"
    async with opened(home, own_database_url) as store:
        await furnish(store, home)
        taken = await back_up(file, home, own_database_url)
        epoch = store.epoch
        await add(store, meta, {"key": "later", "value": "not in the backup"})
    assert taken.manifest.rows["commands"] == 1_203
    assert taken.manifest.blobs == 3
    restored = await bring_back(file, there, target_url)
    names = [name for name in metadata.tables if name not in _CHANGED]
    assert await content(there, target_url, names) == await content(home, own_database_url, names)
    for n in range(3):
        blob = b"".join(
            [part async for part in open_blobs(None, home=there).get(f"output/cmd_{n:04}/stdout")]
        )
        assert blob == bytes([n]) * 300_000
    assert (there / "master.key").read_bytes() == b"master"
    assert (there / "master.key").stat().st_mode & 0o777 == 0o600
    assert (there / "ca" / "ca.key.sealed").read_bytes() == b"sealed"
    assert not (there / MARKER).exists()
    async with opened(there, target_url) as store:
        assert store.epoch == restored.epoch != epoch
        assert (await AuditService(store).verify()).ok
        async with store.read() as conn:
            assert (await conn.execute(sa.select(sa.func.count()).select_from(sessions))).scalar_one() == 0
            actions = (await conn.scalars(sa.select(audit.c.action).order_by(audit.c.number.desc()))).all()
            assert list(actions[:2]) == ["center.restore", "center.backup"]
            assert (await conn.scalar(sa.select(meta.c.value).where(meta.c.key == "later"))) is None
        assert await store.writer.submit(Note(), ("it", "writes")) == 6


async def test_a_backup_is_of_one_moment(own_database_url: str | None, tmp_path: Path) -> None:
    """While rows are added two at a time, a backup never holds an odd number of them."""
    home = tmp_path / "home"
    async with opened(home, own_database_url) as store:
        await add_commands(store, a_command("cmd_0", "agent_0"))
        stop = asyncio.Event()

        async def write() -> None:
            n = 0
            while not stop.is_set():
                n += 1
                await add(store, users, *_pair(n))

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for n in range(3):
                taken = await back_up(tmp_path / f"b{n}", home, own_database_url)
                assert taken.manifest.rows["users"] % 2 == 0
            stop.set()


def _pair(n: int) -> list[dict[str, Any]]:
    row = {"password_hash": "h", "role": "viewer", "created": 1.0, "stamp": "s"}
    return [{**row, "id": f"user_{n}{half}", "username": f"u{n}{half}"} for half in "ab"]


async def test_a_blob_that_is_gone_is_not_named_any_more(tmp_path: Path) -> None:
    """It was deleted while the backup was taken; the restored command is there, without that output."""
    home, there = tmp_path / "home", tmp_path / "there"
    async with opened(home, None) as store:
        await furnish(store, home)
        await open_blobs(None, home=home).delete("output/cmd_0001/stdout")
        taken = await back_up(tmp_path / "b", home, None)
    assert taken.manifest.missing == ["output/cmd_0001/stdout"]
    await bring_back(tmp_path / "b", there, None)
    async with opened(there, None) as store, store.read() as conn:
        named = await conn.scalars(
            sa.select(commands.c.stdout_blob)
            .where(commands.c.stdout_blob.is_not(None))
            .order_by(commands.c.id)
        )
        assert named.all() == ["output/cmd_0000/stdout", "output/cmd_0002/stdout"]
    with pytest.raises(BlobMissing):
        await open_blobs(None, home=there).size("output/cmd_0001/stdout")


async def test_what_is_there_is_refused_or_put_aside(own_database_url: str | None, tmp_path: Path) -> None:
    """Without `--replace` nothing is touched; with it, what was there can be had back."""
    home, there, file = tmp_path / "home", tmp_path / "there", tmp_path / "b"
    async with opened(home, None) as store:
        await furnish(store, home)
        await back_up(file, home, None)
    async with opened(there, own_database_url) as store:
        await store.writer.submit(Note(), ("old", "one"))
        old = store.epoch
    there.mkdir(exist_ok=True)
    (there / "master.key").write_bytes(b"old key")
    with pytest.raises(BackupRefused, match="--replace"):
        await bring_back(file, there, own_database_url)
    assert (there / "master.key").read_bytes() == b"old key"
    async with opened(there, own_database_url) as store:
        assert store.epoch == old
    restored = await bring_back(file, there, own_database_url, replace=True)
    assert (there / "master.key").read_bytes() == b"master"
    aside = there / restored.aside
    assert (aside / "master.key").read_bytes() == b"old key"
    async with opened(there, own_database_url) as store:
        assert store.epoch == restored.epoch
    if own_database_url is None:
        async with opened(aside, None) as store:
            assert store.epoch == old
    else:
        database = open_database(own_database_url, home=there)
        async with database.readers.connect() as conn:
            schema = f"outrider_{restored.aside.replace('-', '_')}"
            query = sa.text(f"SELECT value FROM \"{schema}\".meta WHERE key = 'epoch'")  # noqa: S608 - our own name
            assert (await conn.execute(query)).scalar_one() == old
        await database.close()


async def test_a_restore_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    """A crash leaves no center; the same backup finishes the work, another one is refused."""
    home, there, file = tmp_path / "home", tmp_path / "there", tmp_path / "b"
    async with opened(home, None) as store:
        await furnish(store, home)
        await back_up(file, home, None)
        await back_up(tmp_path / "another", home, None)
    there.mkdir()

    def crash(line: str) -> None:
        if line.startswith("blobs"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await restore(
            file,
            settings(there, None),
            clock=SystemClock(),
            by=CENTER,
            passphrase=None,
            replace=False,
            say=crash,
        )
    assert not (there / "center.db").exists()
    assert (there / "master.key").exists()
    with pytest.raises(BackupRefused):
        await bring_back(tmp_path / "another", there, None)
    await bring_back(file, there, None)
    async with opened(there, None) as store:
        assert (await AuditService(store).verify()).ok


async def test_nothing_is_restored_under_a_running_center(
    own_database_url: str | None, tmp_path: Path
) -> None:
    """Neither on its folder nor on its database."""
    home, file = tmp_path / "home", tmp_path / "b"
    async with opened(home, own_database_url) as store:
        await add_commands(store, a_command("cmd_0", "agent_0"))
        await back_up(file, home, own_database_url)
        with pytest.raises((BackupRefused, StoreUnusable), match=r"[Ss]top it first"):
            await bring_back(file, home, own_database_url, replace=True)
        assert (await AuditService(store).verify()).ok


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_an_older_backup_is_migrated(tmp_path: Path, revision: str) -> None:
    """A backup of an older release is loaded as it was, and then brought to this one's tables."""
    home, there, file = tmp_path / "home", tmp_path / "there", tmp_path / "b"
    database = open_database(None, home=home)
    async with database.writers.begin() as conn:
        await conn.run_sync(upgrade, revision)
        await conn.execute(
            sa.text(
                "INSERT INTO users (id, username, password_hash, role, created, stamp)"
                " VALUES ('u', 'admin', 'h', 'super_admin', 1, 's')"
            )
        )
    await database.close()
    taken = await back_up(file, home, None)
    assert taken.manifest.header.revision == revision
    await bring_back(file, there, None)
    found = await content(there, None, ["users", "counters"])
    assert found["users"][0][1] == "admin"
    assert ("event", 1) in found["counters"]


async def test_a_newer_backup_names_its_release(tmp_path: Path) -> None:
    """A schema nobody here knows is not guessed at."""
    home, file = tmp_path / "home", tmp_path / "b"
    async with opened(home, None) as store:
        await add_commands(store, a_command("cmd_0", "agent_0"))
    with contextlib.closing(sqlite3.connect(home / "center.db")) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
        conn.commit()
    with pytest.raises(BackupRefused, match="newer"):
        await back_up(file, home, None)


async def test_where_no_center_is_there_is_no_backup(tmp_path: Path) -> None:
    """And none is made by looking."""
    with pytest.raises(BackupRefused, match="--home"):
        await take(
            tmp_path / "b",
            settings(tmp_path, None),
            clock=SystemClock(),
            by=CENTER,
            passphrase=None,
            say=lambda _: None,
        )
    assert not (tmp_path / "center.db").exists()


async def test_a_sealed_backup_opens_with_its_passphrase(tmp_path: Path) -> None:
    """And with nothing else."""
    home, file = tmp_path / "home", tmp_path / "b"
    async with opened(home, None) as store:
        await furnish(store, home)
        await back_up(file, home, None, passphrase=b"open sesame")
    assert b"master" not in file.read_bytes()
    with pytest.raises(BackupRefused, match="passphrase"):
        await bring_back(file, tmp_path / "there", None)
    await bring_back(file, tmp_path / "there", None, passphrase=b"open sesame")
    assert (tmp_path / "there" / "master.key").read_bytes() == b"master"


def test_columns_that_name_blobs_are_known_by_their_names() -> None:
    """A new column that holds a blob's key ends in `_blob`: a backup finds it by that."""
    named = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if column.name.endswith(tables.BLOB_SUFFIX)
    }
    assert named == {
        "bundles.archive_blob",
        "commands.stderr_blob",
        "commands.stdout_blob",
        "terminals.recording_blob",
    }


def test_every_table_can_be_backed_up() -> None:
    """Each has a key to page by, and none refers to itself, which would need its rows in another order."""
    for table in metadata.tables.values():
        assert table.primary_key.columns, table.name
        assert all(key.column.table is not table for key in table.foreign_keys), table.name
