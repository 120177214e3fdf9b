"""Short forms of enrolment keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the columns; keys that were made before have no short form."""
    op.add_column("enrolment_keys", sa.Column("short_hash", sa.LargeBinary()))
    op.add_column("enrolment_keys", sa.Column("short_sealed", sa.LargeBinary()))
    op.create_index(op.f("ix_enrolment_keys_short_hash"), "enrolment_keys", ["short_hash"], unique=True)
