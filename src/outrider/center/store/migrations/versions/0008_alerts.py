"""Alert rules, notices and what they have found."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_IS_UNRESOLVED: Final = sa.text("resolved IS NULL")
_IS_GOING_ON: Final = sa.text("closed IS NULL")
_IS_WAITING: Final = sa.text("state = 'waiting'")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alert_channels",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed_url", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_channels")),
    )
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("when", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("channels", sa.Text(), nullable=False),
        sa.Column("repeat_s", sa.Double()),
        sa.Column("since_event", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rules")),
    )
    _make_silences()
    _make_outages()
    _make_alerts()
    _make_notices()


def _rule(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_rule_id_alert_rules")
    return sa.ForeignKeyConstraint(["rule_id"], ["alert_rules.id"], name=name, ondelete="CASCADE")


def _make_silences() -> None:
    op.create_table(
        "silences",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("rule_id", sa.Text()),
        sa.Column("starts", sa.Double(), nullable=False),
        sa.Column("ends", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silences")),
        _rule("silences"),
    )
    op.create_index(op.f("ix_silences_rule_id"), "silences", ["rule_id"])
    op.create_index(op.f("ix_silences_ends"), "silences", ["ends"])


def _make_outages() -> None:
    op.create_table(
        "outages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("opened", sa.Double(), nullable=False),
        sa.Column("closed", sa.Double()),
        sa.Column("notices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_notice", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
        _rule("outages"),
    )
    op.create_index(op.f("ix_outages_rule_id"), "outages", ["rule_id"])
    op.create_index(op.f("ix_outages_closed"), "outages", ["closed"])
    op.create_index(
        "ix_outages_going_on", "outages", ["id"], sqlite_where=_IS_GOING_ON, postgresql_where=_IS_GOING_ON
    )


def _make_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text()),
        sa.Column("outage_id", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("fired", sa.Double()),
        sa.Column("cleared", sa.Double()),
        sa.Column("resolved", sa.Double()),
        sa.Column("value", sa.Double()),
        sa.Column("count", sa.Integer(), server_default="1", nullable=False),
        sa.Column("flaps", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("acknowledged", sa.Double()),
        sa.Column("acknowledged_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        _rule("alerts"),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_alerts_agent_id_agents"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_alerts_agent_id"), "alerts", ["agent_id"])
    op.create_index(op.f("ix_alerts_resolved"), "alerts", ["resolved"])
    op.create_index(op.f("ix_alerts_rule_id_id"), "alerts", ["rule_id", "id"])
    op.create_index(
        "ix_alerts_unresolved",
        "alerts",
        ["rule_id", "subject"],
        unique=True,
        sqlite_where=_IS_UNRESOLVED,
        postgresql_where=_IS_UNRESOLVED,
    )


def _make_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("outage_id", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_created"), "notices", ["created"])
    op.create_table(
        "deliveries",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column("channel_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("ended", sa.Double()),
        sa.PrimaryKeyConstraint("notice_id", "channel_id", name=op.f("pk_deliveries")),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notices.id"], name=op.f("fk_deliveries_notice_id_notices"), ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["notice_id"],
        sqlite_where=_IS_WAITING,
        postgresql_where=_IS_WAITING,
    )
