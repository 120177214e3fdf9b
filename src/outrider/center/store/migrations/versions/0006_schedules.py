"""Schedules of dispatches."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_IS_CLAIMED: Final = sa.text("state = 'claimed'")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("when", sa.Text(), nullable=False),
        sa.Column("dispatch", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("grace", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double()),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("owner_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_next_at"), "schedules", ["next_at"])
    op.create_table(
        "firings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("due", sa.Double()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("settled", sa.Double()),
        sa.Column("dispatch_id", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firings")),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_firings_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_firings_schedule_id_time"), "firings", ["schedule_id", "time"])
    op.create_index("ix_firings_once", "firings", ["schedule_id", "due"], unique=True)
    op.create_index(
        "ix_firings_claimed", "firings", ["id"], sqlite_where=_IS_CLAIMED, postgresql_where=_IS_CLAIMED
    )
