"""Groups of hosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables; let the index of tags name the agents, so that it answers targets by itself."""
    op.create_table(
        "groups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "agent_id", name=op.f("pk_group_members")),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_group_members_agent_id_agents"), ondelete="CASCADE"
        ),
    )
    op.drop_index(op.f("ix_agent_tags_name_is_pair_value"), "agent_tags")
    op.create_index(
        op.f("ix_agent_tags_name_is_pair_value_agent_id"),
        "agent_tags",
        ["name", "is_pair", "value", "agent_id"],
    )
    op.create_index(op.f("ix_group_members_agent_id"), "group_members", ["agent_id"])
