"""Bundles as they are written down, and the queries that read them."""

from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import agent_details, bundles
from outrider.domain.bundles import BundleTarget, Manifest, Named


class Origin(StrEnum):
    """Where a bundle came from."""

    INSTALLATION = "installation"
    """Of what the center itself was installed with."""
    REGISTRY = "registry"
    """Of wheels that pip fetched."""
    FILE = "file"
    """It was made elsewhere."""


class BundleRow(Named, frozen=True, kw_only=True):
    """A bundle as it is kept; `archive_blob` is None until its bytes are, too."""

    digest: str
    glibc: str
    protocol_lowest: int
    protocol_highest: int
    packages: dict[str, str]
    size: int
    unpacked: int
    origin: Origin
    fingerprint: str | None
    created: float
    created_by: str
    archive_blob: str | None


def row_of(
    manifest: Manifest,
    *,
    digest: str,
    size: int,
    origin: Origin,
    fingerprint: str | None,
    created: float,
    created_by: str,
) -> BundleRow:
    """Make the row of a bundle whose bytes are not kept yet."""
    lowest, highest = manifest.protocol
    return BundleRow(
        digest=digest,
        version=manifest.version,
        build=manifest.build,
        python=manifest.python,
        platform=manifest.platform,
        glibc=manifest.glibc,
        protocol_lowest=lowest,
        protocol_highest=highest,
        packages=manifest.packages,
        size=size,
        unpacked=manifest.unpacked,
        origin=origin,
        fingerprint=fingerprint,
        created=created,
        created_by=created_by,
        archive_blob=None,
    )


_COLUMNS: Final = [bundles.c[name] for name in BundleRow.__struct_fields__]


async def kept(
    conn: Connection, target: BundleTarget | None = None, *, digest: str | None = None
) -> list[BundleRow]:
    """List the bundles whose bytes are kept, newest first: all, or those for `target` or with `digest`."""
    conditions: list[sa.ColumnElement[Any]] = [bundles.c.archive_blob.is_not(None)]
    if target is not None:
        conditions += [bundles.c.python == target.python, bundles.c.platform == target.platform]
    if digest is not None:
        conditions.append(bundles.c.digest == digest)
    query = sa.select(*_COLUMNS).where(*conditions).order_by(bundles.c.created.desc(), bundles.c.digest)
    return [as_struct(row, BundleRow) for row in await conn.execute(query)]


async def all_digests(conn: Connection) -> set[str]:
    """Return the digests of all bundles, also of those whose bytes are on their way."""
    return set((await conn.execute(sa.select(bundles.c.digest))).scalars())


async def agents_with(conn: Connection, build: str) -> int:
    """Count the agents that have said that they run this build, which is hexadecimal."""
    said = f'%"agent_build":"{build}"%'
    query = sa.select(sa.func.count()).where(sa.type_coerce(agent_details.c.facts, sa.Text).like(said))
    return int((await conn.execute(query)).scalar_one())
