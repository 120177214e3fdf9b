"""Bringing a center back from a backup, here or on another machine, on either database."""

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from outrider.center.backup import archive, tables
from outrider.center.backup.archive import Manifest, Member
from outrider.center.backup.errors import BackupDamaged, BackupRefused
from outrider.center.backup.take import AUTHORITY, MASTER_KEY, Say
from outrider.center.backup.visiting import visited
from outrider.center.blobs.contract import Blobs
from outrider.center.blobs.opening import open_blobs
from outrider.center.settings import CenterSettings
from outrider.center.standing import EPOCH
from outrider.center.store import audit, events
from outrider.center.store.migrate import revision_of, upgrade
from outrider.center.store.migrations import HEAD, REVISIONS
from outrider.center.store.schema import meta, sessions
from outrider.center.store.sqlite import FILE, hold, let_go
from outrider.domain.actors import Actor
from outrider.kit.clock import Clock
from outrider.kit.files import sync_folder, write_atomically

MARKER: Final = "restore.unfinished"
_STAGING: Final = "restoring"
_BLOBS: Final = "blobs"
_OURS: Final = (FILE, f"{FILE}-wal", f"{FILE}-shm", _BLOBS, AUTHORITY, MASTER_KEY)

_OTHERS: Final = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outrider center'"
    " AND datname = current_database() AND pid <> pg_backend_pid()"
)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought back. `aside` is where what was there before is now; empty when nothing was."""

    manifest: Manifest
    epoch: str
    aside: str


class _Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A restore that has begun: of which backup, and where what was there before goes."""

    digest: str
    aside: str
    is_aside: bool


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    file: Path
    passphrase: bytes | None
    manifest: Manifest
    home: Path
    by: Actor
    now: float
    aside: str


async def restore(
    file: Path,
    settings: CenterSettings,
    *,
    clock: Clock,
    by: Actor,
    passphrase: bytes | None,
    replace: bool,
    say: Say,
) -> Restored:
    """Bring back the center in `file` as the one that these settings are of. No center may be running there.

    Everything in the backup is held to its digests before anything is touched. The database comes last and at
    once: until then there is no center, and a restore that was cut off is begun again with the same backup.
    What is there already is refused, or put aside with `replace`. The restored center has a new epoch, by
    which agents see that it is older than what they have seen, and nobody is signed in.

    Raises BackupRefused, BackupDamaged, StoreUnusable or Unavailable.
    """
    manifest = await asyncio.to_thread(archive.check, file, passphrase)
    if manifest.header.revision not in REVISIONS:
        raise BackupRefused(
            f"The backup was made by a newer release, {manifest.header.release}: restore it with that one.",
            release=manifest.header.release,
        )
    say(f"checked: {sum(manifest.rows.values()):,} rows, {manifest.blobs:,} blobs")
    home = settings.home.expanduser()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = hold(home)
    try:
        now = clock.time()
        blobs = open_blobs(settings.blobs_url or None, home=home)
        begun = await _begin(home, blobs, manifest, replace=replace, now=now)
        if begun.aside:
            blobs = open_blobs(settings.blobs_url or None, home=home)
        plan = _Plan(
            file=file,
            passphrase=passphrase,
            manifest=manifest,
            home=home,
            by=by,
            now=now,
            aside=begun.aside,
        )
        await _put_files(plan, blobs, say)
        if settings.database_url:
            epoch = await _fill_postgres(plan, settings.database_url, replace=replace, say=say)
        else:
            epoch = await _fill_sqlite(plan, say)
        (home / MARKER).unlink()
        return Restored(manifest=manifest, epoch=epoch, aside=begun.aside)
    finally:
        let_go(held)


# --- the folder


async def _begin(home: Path, blobs: Blobs, manifest: Manifest, *, replace: bool, now: float) -> _Unfinished:
    """Make room, and write down what is to happen. Raises BackupRefused when something is in the way."""
    begun = _read_marker(home / MARKER)
    if begun is not None and begun.digest == manifest.digest:
        if not begun.is_aside:
            begun = _put_aside(home, begun)
        return begun
    in_the_way = [name for name in _OURS if (home / name).exists() and name != _BLOBS]
    if await anext(blobs.list(""), None) is not None:
        in_the_way.append(_BLOBS)
    if in_the_way and not replace:
        raise BackupRefused(
            f"There is something in {home} already ({', '.join(in_the_way)}). Restore into an empty data"
            " folder, or put it aside with --replace.",
            home=str(home),
            found=in_the_way,
        )
    aside = time.strftime("replaced-%Y%m%d-%H%M%S", time.gmtime(now)) if replace else ""
    fresh = _Unfinished(digest=manifest.digest, aside=aside, is_aside=not aside)
    _write_marker(home, fresh)
    return _put_aside(home, fresh) if aside else fresh


def _put_aside(home: Path, begun: _Unfinished) -> _Unfinished:
    folder = home / begun.aside
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in _OURS:
        if (home / name).exists():
            (home / name).rename(folder / name)
    done = msgspec.structs.replace(begun, is_aside=True)
    _write_marker(home, done)
    return done


def _read_marker(file: Path) -> _Unfinished | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Unfinished)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write_marker(home: Path, begun: _Unfinished) -> None:
    write_atomically(home / MARKER, msgspec.json.encode(begun))


async def _put_files(plan: _Plan, blobs: Blobs, say: Say) -> None:
    """Put blobs and keys in their places; what is there from a restore that was cut off is written again."""
    with archive.reading(plan.file, plan.passphrase) as members:
        for member in members:
            if member.name.startswith(archive.BLOBS):
                await blobs.put(member.name.removeprefix(archive.BLOBS), _pieces(member))
            elif member.name.startswith(archive.KEYS):
                _put_key(plan.home, member)
    say(f"blobs: {plan.manifest.blobs:,}")


async def _pieces(member: Member) -> AsyncIterator[bytes]:
    for piece in member.pieces():
        yield piece


def _put_key(home: Path, member: Member) -> None:
    name = member.name.removeprefix(archive.KEYS)
    folder, _, leaf = name.rpartition("/")
    if folder not in ("", AUTHORITY) or (not folder and leaf != MASTER_KEY) or leaf in ("", ".", ".."):
        raise BackupDamaged(f"{member.name} is in the backup where no key should be.")
    (home / folder).mkdir(mode=0o700, exist_ok=True)
    write_atomically(home / name, member.bytes(), mode=0o644 if leaf.endswith(".pem") else 0o600)


# --- the database


async def _fill_sqlite(plan: _Plan, say: Say) -> str:
    """Make the database beside its place, and move it there when it is whole."""
    staging = plan.home / _STAGING
    if staging.exists():
        await asyncio.to_thread(shutil.rmtree, staging)
    async with visited(None, staging) as database, database.writers.begin() as conn:
        epoch = await _fill(conn, plan, say)
    await asyncio.to_thread(_move_in, staging, plan.home)
    return epoch


def _move_in(staging: Path, home: Path) -> None:
    # The last connection has brought the log back into the file as it was closed.
    left = staging / f"{FILE}-wal"
    if left.exists() and left.stat().st_size:
        raise BackupRefused(f"{left} is still in use: another program has opened the database.")
    _sync(staging / FILE)
    (staging / FILE).rename(home / FILE)
    sync_folder(home)
    shutil.rmtree(staging)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _fill_postgres(plan: _Plan, url: str, *, replace: bool, say: Say) -> str:
    """Fill the database in one transaction: it is whole or as it was before."""
    async with visited(url, plan.home) as database, database.writers.begin() as conn:
        await database.lock_schema(conn)
        if (await conn.execute(_OTHERS)).scalar_one():
            raise BackupRefused("A center is at work on this database: stop it first.")
        if await conn.run_sync(revision_of) is not None:
            if not replace:
                raise BackupRefused(
                    "There is a center in this database already. Restore into an empty one, or put it aside"
                    " with --replace."
                )
            await _move_tables(conn, plan.aside.replace("-", "_") or "replaced")
        return await _fill(conn, plan, say)


async def _move_tables(conn: AsyncConnection, schema: str) -> None:
    """Put the tables that are there into a schema of their own."""
    quoted = f'"outrider_{schema}"'
    names = await conn.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await conn.execute(sa.text(f"CREATE SCHEMA {quoted}"))
    for name in names:
        await conn.execute(sa.text(f'ALTER TABLE "{name}" SET SCHEMA {quoted}'))


async def _fill(conn: AsyncConnection, plan: _Plan, say: Say) -> str:
    """Make the backup's tables at its own revision, fill them, and bring them to this release's."""
    header = plan.manifest.header
    await conn.run_sync(upgrade, header.revision)
    known = {table.name: table for table in await tables.tables_of(conn)}
    for table in reversed(known.values()):
        # Some migrations write rows; the backup has its own.
        await conn.execute(sa.delete(table))
    loaded = dict.fromkeys(plan.manifest.rows, 0)
    gone = set(plan.manifest.missing)
    with archive.reading(plan.file, plan.passphrase) as members:
        for name, member in _parts(members):
            loaded[name] += await tables.load(conn, known, name, member.bytes(), gone=gone)
    if loaded != plan.manifest.rows:
        raise BackupDamaged("The backup does not hold as many rows as it says.")
    say(f"rows: {sum(loaded.values()):,}")
    if header.revision != HEAD:
        await conn.run_sync(upgrade, HEAD)
    return await _begin_epoch(conn, plan)


def _parts(members: Iterator[Member]) -> Iterator[tuple[str, Member]]:
    for member in members:
        if member.name.startswith(archive.TABLES):
            yield member.name.split("/")[1], member


async def _begin_epoch(conn: AsyncConnection, plan: _Plan) -> str:
    """Give the database a new epoch, end all sessions, and write down what was done."""
    epoch = secrets.token_urlsafe(12)
    await conn.execute(sa.delete(meta).where(meta.c.key == EPOCH))
    await conn.execute(sa.insert(meta).values(key=EPOCH, value=epoch))
    # Some of them were ended after the backup was taken.
    await conn.execute(sa.delete(sessions))
    header = plan.manifest.header
    told = {
        "backup_of": header.created,
        "backup_from": header.host,
        "release": header.release,
        "was": header.epoch,
        "epoch": epoch,
    }
    await audit.append(conn, [audit.draft(plan.by, "center.restore", "center", told)], time=plan.now)
    await events.append(conn, [events.draft("center.restored", "center", {})], time=plan.now)
    return epoch
