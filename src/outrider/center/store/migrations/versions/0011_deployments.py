"""Deployments over SSH, and the host keys that are remembered."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_IS_UNDER_WAY: Final = sa.text("finished IS NULL")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("ssh_user", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), server_default="", nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("step", sa.Text()),
        sa.Column("steps", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("finished", sa.Double()),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("output", sa.Text(), server_default="", nullable=False),
        sa.Column("enrolment_key_id", sa.Text()),
        sa.Column("agent_id", sa.Text()),
        sa.Column("changed", sa.Boolean()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(op.f("ix_deployments_finished"), "deployments", ["finished"])
    op.create_index(
        "ix_deployments_under_way",
        "deployments",
        ["id"],
        sqlite_where=_IS_UNDER_WAY,
        postgresql_where=_IS_UNDER_WAY,
    )
    op.create_table(
        "ssh_host_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("via", sa.Text(), server_default="", nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("remembered", sa.Double(), nullable=False),
        sa.Column("remembered_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssh_host_keys")),
        sa.UniqueConstraint("host", "port", "via", name=op.f("uq_ssh_host_keys_host_port_via")),
    )
