"""What changes groups and their members. Each says whom it concerns: those agents are told."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.groups.names import refuse_double
from outrider.center.groups.rows import group_with, ids_in_groups, profile_with
from outrider.center.groups.sorting import sort_group
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.schema import agents, group_members, groups
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, GroupId

Concerned = frozenset[AgentId]


class NewGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group to be made; its rule has been read."""

    id: GroupId
    name: str
    rule: str
    priority: int
    profile_id: str | None
    by: Actor


class GroupChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a group; what is UNSET stays."""

    id: GroupId
    by: Actor
    name: str | msgspec.UnsetType = msgspec.UNSET
    rule: str | msgspec.UnsetType = msgspec.UNSET
    priority: int | msgspec.UnsetType = msgspec.UNSET
    profile_id: str | msgspec.UnsetType | None = msgspec.UNSET


class GroupDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A group to be deleted."""

    id: GroupId
    by: Actor


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """Agents to be put into a group by hand, or to be in it by hand no longer."""

    id: GroupId
    add: tuple[AgentId, ...]
    remove: tuple[AgentId, ...]
    by: Actor


class MakeGroups:
    """Make groups, with the agents that their rules take in."""

    name = "make groups"
    rank = 46

    async def apply(self, tx: Transaction, items: Sequence[NewGroup]) -> Sequence[Concerned | Exception]:
        """Insert each; `Conflict` for a name that is taken, `NotFound` for a profile that is not there."""
        return await one_by_one(tx, items, self._make)

    async def _make(self, tx: Transaction, item: NewGroup) -> Concerned:
        await refuse_double(tx, groups, "group", item.name)
        if item.profile_id is not None:
            await profile_with(tx.conn, item.profile_id)
        said = {
            "name": item.name,
            "rule": item.rule,
            "priority": item.priority,
            "profile_id": item.profile_id,
        }
        await tx.conn.execute(sa.insert(groups).values(id=item.id, created=tx.now, **said))
        moved = await sort_group(tx, item.id, item.rule)
        tx.audit(item.by, "group.make", item.id, said)
        tx.event("group.made", item.id, {"name": item.name, "members": len(moved), "by": item.by.name})
        return frozenset(moved)


class ChangeGroups:
    """Change groups; another rule moves agents in and out."""

    name = "change groups"
    rank = 47

    async def apply(self, tx: Transaction, items: Sequence[GroupChange]) -> Sequence[Concerned | Exception]:
        """Change each; `NotFound` or `Conflict` for one that can't be."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: GroupChange) -> Concerned:
        row = await group_with(tx.conn, item.id)
        given = {
            "name": item.name,
            "rule": item.rule,
            "priority": item.priority,
            "profile_id": item.profile_id,
        }
        values = {
            name: value
            for name, value in given.items()
            if value is not msgspec.UNSET and value != getattr(row, name)
        }
        if not values:
            return frozenset()
        if isinstance(item.name, str):
            await refuse_double(tx, groups, "group", item.name, but=item.id)
        if isinstance(item.profile_id, str):
            await profile_with(tx.conn, item.profile_id)
        await tx.conn.execute(sa.update(groups).where(groups.c.id == item.id).values(**values))
        moved = await sort_group(tx, item.id, str(values["rule"])) if "rule" in values else set()
        tx.audit(item.by, "group.change", item.id, values)
        tx.event("group.changed", item.id, {"name": row.name, "moved": len(moved), "by": item.by.name})
        if {"priority", "profile_id"} & values.keys():
            moved |= await ids_in_groups(tx.conn, groups.c.id == item.id)
        return frozenset(moved)


class DeleteGroups:
    """Delete groups; their members stay."""

    name = "delete groups"
    rank = 48

    async def apply(self, tx: Transaction, items: Sequence[GroupDeletion]) -> Sequence[Concerned | Exception]:
        """Delete each; `NotFound` for one that is gone."""
        return await one_by_one(tx, items, self._delete)

    async def _delete(self, tx: Transaction, item: GroupDeletion) -> Concerned:
        row = await group_with(tx.conn, item.id)
        members = await ids_in_groups(tx.conn, groups.c.id == item.id)
        await tx.conn.execute(sa.delete(groups).where(groups.c.id == item.id))
        said = {"name": row.name, "rule": row.rule, "members": len(members)}
        tx.audit(item.by, "group.delete", item.id, said)
        tx.event("group.deleted", item.id, {"name": row.name, "by": item.by.name})
        return frozenset(members)


class SetMembers:
    """Put agents into groups by hand, and take them out again."""

    name = "set members of groups"
    rank = 49

    async def apply(self, tx: Transaction, items: Sequence[Membership]) -> Sequence[Concerned | Exception]:
        """Write each; `NotFound` for a group or an agent that is gone."""
        return await one_by_one(tx, items, self._set)

    async def _set(self, tx: Transaction, item: Membership) -> Concerned:
        row = await group_with(tx.conn, item.id)
        wanted = {**dict.fromkeys(item.remove, False), **dict.fromkeys(item.add, True)}
        await _require(tx, item.add)
        kept = await tx.conn.execute(
            sa.select(group_members.c.agent_id, group_members.c.by_hand, group_members.c.by_rule).where(
                group_members.c.group_id == item.id, group_members.c.agent_id.in_(list(wanted))
            )
        )
        there = {member.agent_id: member for member in kept}
        added: list[AgentId] = []
        removed: list[AgentId] = []
        for agent_id, by_hand in wanted.items():
            member = there.get(agent_id)
            if by_hand is (member is not None and member.by_hand):
                continue
            (added if by_hand else removed).append(agent_id)
            await self._write(tx, item.id, agent_id, by_hand=by_hand, by_rule=member and member.by_rule)
        if added or removed:
            said = {"name": row.name, "added": added, "removed": removed}
            tx.audit(item.by, "group.set_members", item.id, said)
            tx.event("group.members_changed", item.id, {**said, "by": item.by.name})
        return frozenset([*added, *removed])

    async def _write(
        self, tx: Transaction, group_id: str, agent_id: str, *, by_hand: bool, by_rule: bool | None
    ) -> None:
        where = (group_members.c.group_id == group_id, group_members.c.agent_id == agent_id)
        if by_rule is None:
            await tx.conn.execute(
                sa.insert(group_members).values(group_id=group_id, agent_id=agent_id, by_hand=True)
            )
        elif by_hand or by_rule:
            await tx.conn.execute(sa.update(group_members).where(*where).values(by_hand=by_hand))
        else:
            await tx.conn.execute(sa.delete(group_members).where(*where))


async def _require(tx: Transaction, ids: Sequence[AgentId]) -> None:
    found = await tx.conn.execute(sa.select(agents.c.id).where(agents.c.id.in_(ids)))
    missing = sorted(set(ids) - {AgentId(each) for each in found.scalars()})
    if missing:
        raise NotFound(f"There is no agent {missing[0][:80]}.", agent_id=missing[0][:80])


MAKE_GROUPS = MakeGroups()
CHANGE_GROUPS = ChangeGroups()
DELETE_GROUPS = DeleteGroups()
SET_MEMBERS = SetMembers()
