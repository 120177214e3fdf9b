"""Tables of the hosts and of what lets them in."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    false,
)

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

enrolment_keys: Final = Table(
    "enrolment_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("tags", Json, nullable=False, server_default="[]"),
    # Agents that enrol with this key are approved at once.
    Column("approve", Boolean, nullable=False, server_default=false()),
    # How many agents it may enrol; NULL is any number.
    Column("uses", Integer),
    Column("used", Integer, nullable=False, server_default="0"),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires", Double),
    Column("last_used", Double),
    Column("revoked", Boolean, nullable=False, server_default=false()),
    # Of its short form, while it has one: a keyed hash to find it by, and the key's secret, sealed.
    Column("short_hash", LargeBinary, unique=True, index=True),
    Column("short_sealed", LargeBinary),
)

# What targets and lists look at and heartbeats write, and nothing else: a walk through ten thousand of them
# reads 3 MB. In the order of their ids, without any other index: each arrival would pay for it.
agents: Final = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("approval", Text, nullable=False),
    # The replica that holds the agent's link while it is open, and the link's number: an older one is fenced.
    Column("linked", Text),
    Column("link_epoch", BigInteger, nullable=False, server_default="0"),
    Column("last_seen", Double, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("hostname", Text, nullable=False, server_default=""),
    Column("os", Text, nullable=False, server_default=""),
    Column("os_family", Text, nullable=False, server_default=""),
    # The agent's rows of `agent_tags` in one text, as `tag_rows.as_text` writes it.
    Column("tags", Text, nullable=False, server_default=""),
    Column("ip", Text, nullable=False, server_default=""),
    Column("version", Text, nullable=False, server_default=""),
    # How far the agent's spool had come when it was last heard of.
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("clock_offset", Double),
    # The latest snapshot of metrics.
    Column("readings", Json),
    sqlite_with_rowid=False,
)

agent_details: Final = Table(
    "agent_details",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("device_id", Text, nullable=False, unique=True),
    Column("key_hash", LargeBinary, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("facts", Json, nullable=False, server_default="{}"),
    Column("first_seen", Double, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Double),
    Column("enrolment_key_id", Text),
    # What the agent's spool, process and machine last called themselves: a cloned disk, a restored spool
    # and a reboot are told apart by them.
    Column("incarnation", Text),
    Column("start", Text),
    Column("boot", Text),
    Column("machine", Text),
    Column("conflict", Json),
)

# What hosts made for their keys, as PEM: who is dialled shows it. None for a host that sent none.
agent_certificates: Final = Table(
    "agent_certificates",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("certificate", Text, nullable=False),
)

agent_tags: Final = Table(
    "agent_tags",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False, server_default=""),
    # A NAME=value pair; otherwise a word, whose value is empty.
    Column("is_pair", Boolean, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    # With the agent, so that who has a tag is read from the index alone.
    Index(None, "name", "is_pair", "value", "agent_id"),
)
