"""Taking a backup, while the center runs or while it does not."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from outrider import __version__
from outrider.center.backup import archive
from outrider.center.backup.archive import Header, Manifest, Writing
from outrider.center.backup.errors import BackupRefused
from outrider.center.backup.tables import dump, tables_of
from outrider.center.backup.visiting import visited
from outrider.center.blobs.contract import BlobMissing, Blobs
from outrider.center.blobs.opening import open_blobs
from outrider.center.security.folder_lock import folder_lock
from outrider.center.settings import CenterSettings
from outrider.center.standing import EPOCH, fact
from outrider.center.store import audit
from outrider.center.store.database import Database
from outrider.center.store.migrate import revision_of
from outrider.center.store.migrations import HEAD, REVISIONS
from outrider.center.store.sqlite import FILE
from outrider.domain.actors import Actor
from outrider.kit.clock import Clock

MASTER_KEY: Final = "master.key"
AUTHORITY: Final = "ca"

Say = Callable[[str], None]
"""Tells the person who waits how far it has come."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What went into a backup."""

    manifest: Manifest
    #: In bytes.
    size: int


async def take(
    file: Path,
    settings: CenterSettings,
    *,
    clock: Clock,
    by: Actor,
    passphrase: bytes | None,
    say: Say,
) -> Taken:
    """Write a backup of the center that these settings are of. It may be running; it is not held up.

    The database is read in one snapshot. Blobs are older than the rows that name them, and are read after
    these: one that is gone by then was deleted with its command, and the restored row does without it.
    Raises BackupRefused, StoreUnusable and Unavailable; then there is no file.
    """
    home = settings.home.expanduser()
    if not settings.database_url and not (home / FILE).exists():
        raise BackupRefused(
            f"There is no center in {home}: name its data folder with --home.", home=str(home)
        )
    async with visited(settings.database_url or None, home, beside=True) as database:
        with archive.writing(file, passphrase) as target:
            manifest = await _write(target, database, settings, home, clock=clock, by=by, say=say)
    size = (await asyncio.to_thread(file.stat)).st_size
    return Taken(manifest=manifest, size=size)


async def _write(
    target: Writing,
    database: Database,
    settings: CenterSettings,
    home: Path,
    *,
    clock: Clock,
    by: Actor,
    say: Say,
) -> Manifest:
    await _note(database, clock, by)
    rows: dict[str, int] = {}
    blobs: list[str] = []
    async with database.readers.connect() as conn:
        header = await _header(conn, database, clock)
        target.add(archive.HEADER, msgspec.json.encode(header))
        for table in await tables_of(conn):
            number = rows[str(table.name)] = 0
            async for part in dump(conn, table):
                number += 1
                rows[table.name] += part.rows
                blobs += part.blobs
                target.add(f"{archive.TABLES}{table.name}/{number:06}.msgpack", part.data)
            say(f"{table.name}: {rows[table.name]:,} rows")
    missing = await _add_blobs(target, open_blobs(settings.blobs_url or None, home=home), blobs)
    say(f"blobs: {len(blobs) - len(missing):,}")
    for name, content in await asyncio.to_thread(_keys, home):
        target.add(archive.KEYS + name, content)
    manifest = Manifest(header=header, members=dict(target.members), rows=rows, missing=missing)
    target.finish(manifest)
    return manifest


async def _note(database: Database, clock: Clock, by: Actor) -> None:
    """Write down that the backup is taken, where this release knows how: it holds every secret there is."""
    async with database.writers.connect() as conn:
        revision = await conn.run_sync(revision_of)
    if revision is None or revision not in REVISIONS:
        raise BackupRefused(
            "The database holds no center, or one of a newer release: back it up with that release.",
            revision=revision,
        )
    if revision == HEAD:
        async with database.writers.begin() as conn:
            await database.take_turn(conn)
            await audit.append(conn, [audit.draft(by, "center.backup", "center", {})], time=clock.time())


async def _header(conn: AsyncConnection, database: Database, clock: Clock) -> Header:
    revision = await conn.run_sync(revision_of)
    return Header(
        format=archive.FORMAT,
        release=__version__,
        revision=revision or "",
        epoch=await fact(conn, EPOCH) or "",
        dialect=database.name,
        host=socket.gethostname(),
        created=clock.time(),
    )


async def _add_blobs(target: Writing, blobs: Blobs, keys: list[str]) -> list[str]:
    """Add the blobs; return those that are gone."""
    missing = []
    for key in keys:
        try:
            size = await blobs.size(key)
            pieces = blobs.get(key)
            first = await anext(pieces, b"")
        except BlobMissing:
            missing.append(key)
            continue
        target.begin(archive.BLOBS + key, size)
        target.write(first)
        async for piece in pieces:
            target.write(piece)
        target.end()
    return missing


def _keys(home: Path) -> list[tuple[str, bytes]]:
    """Read what the center's secrets are sealed with, and its authority, all of one moment."""
    found = []
    if (home / MASTER_KEY).exists():
        found.append((MASTER_KEY, (home / MASTER_KEY).read_bytes()))
    if (home / AUTHORITY).is_dir():
        with folder_lock(home / AUTHORITY):
            found += [
                (f"{AUTHORITY}/{path.name}", path.read_bytes())
                for path in sorted((home / AUTHORITY).iterdir())
                if path.is_file() and path.suffix in (".pem", ".sealed")
            ]
    return found
