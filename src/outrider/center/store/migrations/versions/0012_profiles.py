"""Profiles, groups that sort by rules, and tags that are gone."""

from __future__ import annotations

import time
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_DEFAULT: Final = "prof_00000000000000000000"


def upgrade() -> None:
    """Make the tables. Those of groups are made anew: nothing could be written into them before."""
    op.create_table(
        "profiles",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("changed", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("name", name=op.f("uq_profiles_name")),
    )
    made = sa.table("profiles", *(sa.column(name) for name in ("id", "name", "created", "changed")))
    now = time.time()
    op.execute(sa.insert(made).values(id=_DEFAULT, name="default", created=now, changed=now))
    op.drop_table("group_members")
    op.drop_table("groups")
    op.create_table(
        "groups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), server_default="", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("profile_id", sa.Text()),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
        sa.ForeignKeyConstraint(["profile_id"], ["profiles.id"], name=op.f("fk_groups_profile_id_profiles")),
    )
    op.create_index(op.f("ix_groups_profile_id"), "groups", ["profile_id"])
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("by_rule", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "agent_id", name=op.f("pk_group_members")),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_group_members_agent_id_agents"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_group_members_agent_id"), "group_members", ["agent_id"])
    op.create_table(
        "removed_tags",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "name", name=op.f("pk_removed_tags")),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_removed_tags_agent_id_agents"), ondelete="CASCADE"
        ),
    )
