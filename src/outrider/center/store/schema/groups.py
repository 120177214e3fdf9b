"""Tables of groups and profiles, and of tags that are gone."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Integer, Table, Text, false

from outrider.center.store.columns import Json
from outrider.center.store.schema.base import metadata

profiles: Final = Table(
    "profiles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # Its own parameters; those of the default profile are inherited when they are asked for.
    Column("params", Json, nullable=False, server_default="{}"),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
)

groups: Final = Table(
    "groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # Empty: its members are there by hand alone.
    Column("rule", Text, nullable=False, server_default=""),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("profile_id", Text, ForeignKey("profiles.id"), index=True),
    Column("created", Double, nullable=False),
)

# An agent is in a group by hand, by its rule, or by both; without either there is no row.
group_members: Final = Table(
    "group_members",
    metadata,
    Column("group_id", Text, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("by_hand", Boolean, nullable=False, server_default=false()),
    Column("by_rule", Boolean, nullable=False, server_default=false()),
)

# What an older write of the same name is held against; the newest of an agent are kept (fleet.tag_rows).
removed_tags: Final = Table(
    "removed_tags",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
