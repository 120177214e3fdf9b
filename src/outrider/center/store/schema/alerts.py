"""Tables of alerts: the rules, whom they tell, what they found, and what was told."""

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
    text,
    true,
)

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

# A query uses a partial index only when it states the same condition in the same words.
IS_UNRESOLVED: Final = text("resolved IS NULL")
IS_GOING_ON: Final = text("closed IS NULL")
IS_WAITING: Final = text("state = 'waiting'")

alert_channels: Final = Table(
    "alert_channels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # The scheme of its address, such as `mailto`: all of it that is ever shown.
    Column("kind", Text, nullable=False),
    Column("sealed_url", LargeBinary, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
)

alert_rules: Final = Table(
    "alert_rules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("when", Json, nullable=False),
    Column("target", Text, nullable=False),
    Column("severity", Text, nullable=False),
    # Ids of channels.
    Column("channels", Json, nullable=False),
    Column("repeat_s", Double),
    # Failures count from the event after this one on: what was before it was made, or switched on, does not.
    Column("since_event", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
)

silences: Final = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    # At least one of the two: whom it is about, and of which rule.
    Column("target", Text),
    Column("rule_id", Text, ForeignKey("alert_rules.id", ondelete="CASCADE"), index=True),
    Column("starts", Double, nullable=False),
    Column("ends", Double, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
)

# All that one rule fires for from the first host until none is left.
outages: Final = Table(
    "outages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule_id", Text, ForeignKey("alert_rules.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("opened", Double, nullable=False),
    Column("closed", Double, index=True),
    # How many notices told of it, since one said that all is over if one did; when the last was written.
    Column("notices", Integer, nullable=False, server_default="0"),
    Column("last_notice", Double),
    Index("ix_outages_going_on", "id", sqlite_where=IS_GOING_ON, postgresql_where=IS_GOING_ON),
)

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule_id", Text, ForeignKey("alert_rules.id", ondelete="CASCADE"), nullable=False),
    # What it is about: an agent, or a dispatch.
    Column("subject", Text, nullable=False),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), index=True),
    Column("outage_id", Text),
    Column("state", Text, nullable=False),
    # When its condition began to hold, when it began to fire, when the condition went, when it was over.
    Column("since", Double, nullable=False),
    Column("fired", Double),
    Column("cleared", Double),
    Column("resolved", Double, index=True),
    # The last value of a metric; how often a failure happened.
    Column("value", Double),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("flaps", Integer, nullable=False, server_default="0"),
    # How far notices told of it: not at all, that it fires, or also that it is over.
    Column("told", Text, nullable=False),
    # Why it is over, where its condition is not the reason.
    Column("reason", Text, nullable=False, server_default=""),
    Column("acknowledged", Double),
    Column("acknowledged_by", Text),
    Index(None, "rule_id", "id"),
    Index(
        "ix_alerts_unresolved",
        "rule_id",
        "subject",
        unique=True,
        sqlite_where=IS_UNRESOLVED,
        postgresql_where=IS_UNRESOLVED,
    ),
)

# What was told. It stays when its rule is deleted.
notices: Final = Table(
    "notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule_id", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("outage_id", Text),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created", Double, nullable=False, index=True),
)

# To whom, and what became of it.
deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("notice_id", Text, ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    Column("channel_id", Text, primary_key=True),
    Column("channel_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    # When it was sent, or given up.
    Column("ended", Double),
    Index("ix_deliveries_waiting", "notice_id", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
)
