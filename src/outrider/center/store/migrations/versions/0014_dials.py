"""Where agents in listen mode wait, and the certificates that hosts made for their keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the tables; there is no certificate of hosts that enrolled before."""
    op.create_table(
        "dials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text()),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dials")),
        sa.UniqueConstraint("address", name=op.f("uq_dials_address")),
        sa.UniqueConstraint("agent_id", name=op.f("uq_dials_agent_id")),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_dials_agent_id_agents"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "agent_certificates",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", name=op.f("pk_agent_certificates")),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name=op.f("fk_agent_certificates_agent_id_agents"),
            ondelete="CASCADE",
        ),
    )
