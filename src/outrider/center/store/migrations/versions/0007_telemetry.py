"""Readings of hosts by the minute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "minute_rows",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "minute", name=op.f("pk_minute_rows")),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_minute_rows_agent_id_agents"), ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
