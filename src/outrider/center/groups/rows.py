"""Groups and profiles as they are kept, and the queries that read them."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import agents, group_members, groups, profiles
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, GroupId, ProfileId


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A profile with its own parameters. Times are unix seconds."""

    id: ProfileId
    name: str
    params: dict[str, str]
    created: float
    changed: float


class GroupRow(msgspec.Struct, frozen=True, kw_only=True):
    """A group; without a rule its members are in it by hand."""

    id: GroupId
    name: str
    rule: str
    priority: int
    profile_id: ProfileId | None
    created: float


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """An agent in a group, and why."""

    id: AgentId
    label: str
    hostname: str
    by_hand: bool
    by_rule: bool


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """An agent by its id and what it is called."""

    id: AgentId
    label: str
    hostname: str


_PROFILE: Final = [profiles.c[name] for name in ProfileRow.__struct_fields__]
_GROUP: Final = [groups.c[name] for name in GroupRow.__struct_fields__]
_NAMED: Final = Query(
    sa.select(agents.c.id, agents.c.label, agents.c.hostname)
    .where(one_of(agents.c.id, "ids"))
    .order_by(agents.c.id)
)


def no_such_profile(profile_id: str) -> NotFound:
    """Make the error for a profile that does not exist."""
    return NotFound(f"There is no profile {profile_id[:80]}.", profile_id=profile_id[:80])


def no_such_group(group_id: str) -> NotFound:
    """Make the error for a group that does not exist."""
    return NotFound(f"There is no group {group_id[:80]}.", group_id=group_id[:80])


async def all_profiles(conn: Connection) -> list[ProfileRow]:
    """List the profiles by name."""
    return [
        as_struct(row, ProfileRow)
        for row in await conn.execute(sa.select(*_PROFILE).order_by(profiles.c.name))
    ]


async def profile_with(conn: Connection, profile_id: str) -> ProfileRow:
    """Find a profile. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*_PROFILE).where(profiles.c.id == profile_id))).one_or_none()
    if row is None:
        raise no_such_profile(profile_id)
    return as_struct(row, ProfileRow)


async def all_groups(conn: Connection) -> list[GroupRow]:
    """List the groups by name."""
    return [
        as_struct(row, GroupRow) for row in await conn.execute(sa.select(*_GROUP).order_by(groups.c.name))
    ]


async def group_with(conn: Connection, group_id: str) -> GroupRow:
    """Find a group. Raises `NotFound`."""
    row = (await conn.execute(sa.select(*_GROUP).where(groups.c.id == group_id))).one_or_none()
    if row is None:
        raise no_such_group(group_id)
    return as_struct(row, GroupRow)


async def groups_of_profiles(conn: Connection) -> dict[ProfileId, list[str]]:
    """List the names of the groups that give each profile."""
    rows = await conn.execute(
        sa.select(groups.c.profile_id, groups.c.name)
        .where(groups.c.profile_id.is_not(None))
        .order_by(groups.c.name)
    )
    found: dict[ProfileId, list[str]] = {}
    for profile_id, name in rows:
        found.setdefault(ProfileId(profile_id), []).append(name)
    return found


async def count_members(conn: Connection, group_id: str) -> int:
    """Count the members of a group."""
    query = sa.select(sa.func.count()).where(group_members.c.group_id == group_id)
    return int((await conn.execute(query)).scalar_one())


async def member_counts(conn: Connection) -> dict[GroupId, int]:
    """Count the members of each group that has any."""
    rows = await conn.execute(
        sa.select(group_members.c.group_id, sa.func.count()).group_by(group_members.c.group_id)
    )
    return {GroupId(row[0]): row[1] for row in rows}


async def members_of(
    conn: Connection, group_id: str, *, after: str | None, limit: int | None
) -> list[MemberRow]:
    """List a group's members in the order they enrolled."""
    query = (
        sa.select(
            agents.c.id, agents.c.label, agents.c.hostname, group_members.c.by_hand, group_members.c.by_rule
        )
        .join(agents, agents.c.id == group_members.c.agent_id)
        .where(group_members.c.group_id == group_id)
        .order_by(agents.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(agents.c.id > after)
    return [as_struct(row, MemberRow) for row in await conn.execute(query)]


async def named(conn: Connection, ids: Sequence[AgentId]) -> list[Named]:
    """Say what agents are called, in the order they enrolled."""
    return await _NAMED.structs(conn, Named, ids=ids)


async def ids_in_groups(conn: Connection, condition: sa.ColumnElement[bool]) -> set[AgentId]:
    """List who is in the groups that fulfil a condition."""
    rows = await conn.execute(
        sa.select(group_members.c.agent_id)
        .join(groups, groups.c.id == group_members.c.group_id)
        .where(condition)
        .distinct()
    )
    return {AgentId(row[0]) for row in rows}
