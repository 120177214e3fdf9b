"""Every table of the center, as SQLAlchemy Core. A change here comes with a migration (migrations/README.md).

Times are unix seconds. A state, an approval, a role is the text of its enum in `domain`: the database does
not know the lists, so that an older release beside a newer one reads what it can.
"""

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
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)

from outrider.center.store.columns import BigKey, Json
from outrider.domain.command_states import ACTIVE, CommandState

__all__ = [
    "IS_ACTIVE",
    "IS_QUEUED",
    "agent_tags",
    "agents",
    "command_output",
    "commands",
    "counters",
    "enrolment_keys",
    "events",
    "idempotency",
    "meta",
    "metadata",
    "sessions",
    "users",
]

# Every constraint has a name that a migration can use, the same on both databases.
metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ACTIVE: Final = ", ".join(f"'{state.value}'" for state in CommandState if state in ACTIVE)
# A query uses a partial index only when it states the same condition in the same words.
IS_ACTIVE: Final = text(f"state IN ({_ACTIVE})")
IS_QUEUED: Final = text(f"state = '{CommandState.QUEUED.value}'")

# Facts about the center itself, such as its epoch.
meta: Final = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Numbers that are handed out in commit order; `event` is the position of the newest event.
counters: Final = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

users: Final = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    # Changes with the password, the role and `disabled`: what was handed out under an older one is void.
    Column("stamp", Text, nullable=False),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created", Double, nullable=False),
    Column("last_used", Double, nullable=False),
    Column("expires", Double, nullable=False, index=True),
    Column("address", Text, nullable=False, server_default=""),
    Column("client", Text, nullable=False, server_default=""),
)

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
)

agents: Final = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("device_id", Text, nullable=False, unique=True),
    Column("key_hash", LargeBinary, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("approval", Text, nullable=False, index=True),
    Column("label", Text, nullable=False, server_default="", index=True),
    Column("hostname", Text, nullable=False, server_default="", index=True),
    Column("ip", Text, nullable=False, server_default=""),
    Column("os", Text, nullable=False, server_default=""),
    Column("os_family", Text, nullable=False, server_default=""),
    Column("version", Text, nullable=False, server_default=""),
    Column("facts", Json, nullable=False, server_default="{}"),
    # The latest snapshot of metrics.
    Column("readings", Json),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Double),
    Column("enrolment_key_id", Text),
    # What the agent's spool, process and machine last called themselves: a cloned disk, a restored spool
    # and a reboot are told apart by them.
    Column("incarnation", Text),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("start", Text),
    Column("boot", Text),
    Column("machine", Text),
    # The replica that holds the agent's link while it is open, and the link's number: an older one is fenced.
    Column("linked", Text, index=True),
    Column("link_epoch", BigInteger, nullable=False, server_default="0"),
    Column("clock_offset", Double),
    Column("connection_state", Text),
    Column("conflict", Json),
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
    Index(None, "name", "is_pair", "value"),
)

commands: Final = Table(
    "commands",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("type", Text, nullable=False),
    Column("params", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_by_name", Text, nullable=False),
    Column("expires", Double, nullable=False),
    Column("sent", Double),
    # When the host had it on its own disk.
    Column("accepted", Double),
    # The agent's own clock.
    Column("started", Double),
    Column("finished", Double),
    # When the center received the end.
    Column("settled", Double),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("reason", Text, nullable=False, server_default=""),
    Column("stdout", LargeBinary),
    Column("stderr", LargeBinary),
    Column("stdout_total", BigInteger, nullable=False, server_default="0"),
    Column("stderr_total", BigInteger, nullable=False, server_default="0"),
    # Keys of blobs that hold what does not fit a row.
    Column("stdout_blob", Text),
    Column("stderr_blob", Text),
    Column("cancel_requested", Double),
    Column("cancelled_by", Text),
    # The spool incarnation and the machine it was sent to: the same id is not run again elsewhere.
    Column("incarnation", Text),
    Column("machine", Text),
    Index(None, "agent_id", "id"),
    Index("ix_commands_active", "agent_id", sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE),
    Index("ix_commands_queued", "expires", sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED),
)

# Output of commands that have not ended, piece by piece as it arrived.
command_output: Final = Table(
    "command_output",
    metadata,
    Column("command_id", Text, ForeignKey("commands.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", SmallInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# The first answer to each Idempotency-Key, per user and route.
idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("answer", Json, nullable=False),
    Column("created", Double, nullable=False, index=True),
)

events: Final = Table(
    "events",
    metadata,
    Column("position", BigKey, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", Json, nullable=False),
)
