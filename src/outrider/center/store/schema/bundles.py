"""The table of bundles: which agents a center can give to hosts. Their bytes are blobs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Integer, Table, Text, UniqueConstraint

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

bundles: Final = Table(
    "bundles",
    metadata,
    # SHA-256 of the archive, in hex: what a host asks for, and what it compares.
    Column("digest", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("build", Text, nullable=False),
    Column("python", Text, nullable=False),
    Column("platform", Text, nullable=False),
    # The oldest glibc it runs on; empty for musl.
    Column("glibc", Text, nullable=False),
    Column("protocol_lowest", Integer, nullable=False),
    Column("protocol_highest", Integer, nullable=False),
    Column("packages", Json, nullable=False),
    # Bytes: of the archive, and of its files once they are unpacked.
    Column("size", BigInteger, nullable=False),
    Column("unpacked", BigInteger, nullable=False),
    # Where it came from: installation, registry or file.
    Column("origin", Text, nullable=False),
    # What the installation looked like that it was made of; NULL for one from elsewhere.
    Column("fingerprint", Text),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    # NULL until its bytes are stored, and when a restored backup had lost them.
    Column("archive_blob", Text),
    UniqueConstraint("python", "platform", "version", "build"),
)
