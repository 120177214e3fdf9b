"""Terminals and their recordings."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_IS_OPEN: Final = sa.text("ended IS NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "terminals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("command", sa.Text()),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("detached", sa.Double()),
        sa.Column("ended", sa.Double()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("signal", sa.Integer()),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("recorded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("recording_blob", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminals")),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_terminals_agent_id_agents"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_terminals_agent_id_id"), "terminals", ["agent_id", "id"])
    op.create_index(op.f("ix_terminals_user_id_id"), "terminals", ["user_id", "id"])
    op.create_index(op.f("ix_terminals_ended"), "terminals", ["ended"])
    op.create_index(
        "ix_terminals_open", "terminals", ["id"], sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
    )
