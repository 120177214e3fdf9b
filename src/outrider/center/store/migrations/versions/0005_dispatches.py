"""Dispatches, and which commands belong to one."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_IS_UNFINISHED: Final = sa.text("finished IS NULL")
_IN_DISPATCH: Final = sa.text("dispatch_id IS NOT NULL")


def upgrade() -> None:
    """Make the table; let commands name their dispatch."""
    op.create_table(
        "dispatches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("concurrency", sa.Integer()),
        sa.Column("max_failures", sa.Integer()),
        sa.Column("offline", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Text(), server_default="[]", nullable=False),
        sa.Column("retry_of", sa.Text()),
        sa.Column("origin", sa.Text()),
        sa.Column("cancelled_by", sa.Text()),
        sa.Column("finished", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatches")),
    )
    op.create_index(
        "ix_dispatches_unfinished",
        "dispatches",
        ["id"],
        sqlite_where=_IS_UNFINISHED,
        postgresql_where=_IS_UNFINISHED,
    )
    op.add_column("commands", sa.Column("dispatch_id", sa.Text()))
    op.add_column("commands", sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_commands_dispatch",
        "commands",
        ["dispatch_id", "settled"],
        sqlite_where=_IN_DISPATCH,
        postgresql_where=_IN_DISPATCH,
    )
