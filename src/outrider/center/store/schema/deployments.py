"""Tables of deployments over SSH, and of the keys by which hosts are recognised. Neither holds a secret."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

# A query uses the partial index only when it states the same condition in the same words.
IS_UNDER_WAY: Final = text("finished IS NULL")

deployments: Final = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("ssh_user", Text, nullable=False),
    # The jump host, as `host:port`; empty without one.
    Column("via", Text, nullable=False, server_default=""),
    Column("label", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    # The step it is at, or failed at.
    Column("step", Text),
    # What was told of its steps, a list that only grows.
    Column("steps", Json, nullable=False, server_default="[]"),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_by_name", Text, nullable=False),
    Column("finished", Double),
    # The error's code and what it says; empty when all went well.
    Column("code", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    # What the host said, its begin and its end.
    Column("output", Text, nullable=False, server_default=""),
    # The one-use key that was made for it: it has to be ended when this is cut off.
    Column("enrolment_key_id", Text),
    # Kept beyond the agent: no foreign key.
    Column("agent_id", Text),
    Column("changed", Boolean),
    Index("ix_deployments_under_way", "id", sqlite_where=IS_UNDER_WAY, postgresql_where=IS_UNDER_WAY),
    Index(None, "finished"),
)

ssh_host_keys: Final = Table(
    "ssh_host_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    # By way of which jump host: the same private address is another host behind another one.
    Column("via", Text, nullable=False, server_default=""),
    Column("blob", LargeBinary, nullable=False),
    Column("remembered", Double, nullable=False),
    Column("remembered_by", Text, nullable=False),
    UniqueConstraint("host", "port", "via"),
)
