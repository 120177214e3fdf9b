"""What people do with groups and profiles."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from outrider.center.groups import profile_writes, rows, writes
from outrider.center.groups.given import given
from outrider.center.groups.rows import GroupRow, MemberRow, Named, ProfileRow
from outrider.center.groups.sorting import fitting, rule_of
from outrider.center.groups.telling import Telling
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.errors import Invalid, Unavailable
from outrider.domain.ids import AgentId, GroupId, ProfileId, new_group_id, new_profile_id
from outrider.domain.profiles import DEFAULT, KNOWN, TERMINAL_RECORDING, check_params, inherited
from outrider.kit.clock import Clock

T = TypeVar("T")


class ProfileView(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as people see it. Times are unix seconds.

    `params` are its own, `comes_to` are these with what it inherits; `groups` are those that give it.
    """

    id: str
    name: str
    is_default: bool
    params: dict[str, str]
    comes_to: dict[str, str]
    groups: list[str]
    created: float
    changed: float


class ParameterView(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that is known, with what it takes and does; `default` as it is written."""

    name: str
    default: str
    takes: str
    means: str


class GroupProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile that a group gives."""

    id: str
    name: str


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """A group as people see it. Times are unix seconds."""

    id: str
    name: str
    rule: str
    priority: int
    profile: GroupProfile | None
    members: int
    created: float


class GroupPreview(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a sorting rule takes in: how many, and the first of them.

    `joining` and `leaving` count whom the named group would gain and lose; whom it has by hand stays.
    """

    count: int
    joining: int
    leaving: int
    agents: list[Named]


class GroupService:
    """Keeps groups and profiles, and lets agents know what changes for them."""

    def __init__(self, store: Store, telling: Telling, clock: Clock) -> None:
        """Take the store and what tells agents."""
        self._store = store
        self._telling = telling
        self._clock = clock

    # --- profiles

    async def profiles(self) -> list[ProfileView]:
        """List the profiles by name."""
        async with self._store.read() as conn:
            return await _profile_views(conn)

    async def profile(self, profile_id: str) -> ProfileView:
        """Show a profile. Raises `NotFound`."""
        async with self._store.read() as conn:
            row = await rows.profile_with(conn, profile_id)
            default = await rows.profile_with(conn, DEFAULT)
            used = await rows.groups_of_profiles(conn)
        return _profile_view(row, default, used)

    async def make_profile(self, *, name: str, params: Mapping[str, str], by: Actor) -> ProfileView:
        """Make a profile. Raises `Invalid`, or `Conflict` for a name that is taken."""
        new = profile_writes.NewProfile(
            id=new_profile_id(self._clock.time()),
            name=_name(name),
            params=check_params(params),
            by=by,
        )
        await self._store.writer.submit(profile_writes.MAKE_PROFILES, new)
        return await self.profile(new.id)

    async def change_profile(
        self, profile_id: str, *, name: str | None, params: Mapping[str, str | None], by: Actor
    ) -> ProfileView:
        """Change a profile, and tell its agents. Raises `NotFound`, `Invalid` or `Conflict`."""
        change = profile_writes.ProfileChange(
            id=ProfileId(profile_id), by=by, name=None if name is None else _name(name), params=params
        )
        concerned = await self._told_if_unsure(
            lambda: self._store.writer.submit(profile_writes.CHANGE_PROFILES, change)
        )
        if concerned.everybody:
            self._telling.everybody()
        else:
            self._telling.soon(concerned.ids)
        return await self.profile(profile_id)

    async def delete_profile(self, profile_id: str, *, by: Actor) -> None:
        """Delete a profile. Raises `NotFound`, or `Conflict` for the default one and one in use."""
        deletion = profile_writes.ProfileDeletion(id=ProfileId(profile_id), by=by)
        await self._store.writer.submit(profile_writes.DELETE_PROFILES, deletion)

    def parameters(self) -> list[ParameterView]:
        """List the parameters that are known."""
        return [
            ParameterView(name=each.name, default=_written(each.default), takes=each.rule, means=each.means)
            for each in KNOWN.values()
        ]

    async def recording_of(self, agent_id: AgentId) -> str:
        """Say what of an agent's terminals its profile has recorded; empty when it does not say."""
        async with self._store.read() as conn:
            found = await given(conn, [agent_id])
        return TERMINAL_RECORDING.of(found[agent_id].params)

    # --- groups

    async def groups(self) -> list[GroupView]:
        """List the groups by name."""
        return await self._store.trip(_group_views)

    async def group(self, group_id: str) -> GroupView:
        """Show a group. Raises `NotFound`."""
        async with self._store.read() as conn:
            row = await rows.group_with(conn, group_id)
            names = {each.id: each.name for each in await rows.all_profiles(conn)}
            members = await rows.count_members(conn, group_id)
        return _group_view(row, names, members)

    async def preview(self, rule: str, group_id: str | None, limit: int) -> GroupPreview:
        """Say whom a rule would take in. Raises `InvalidSortingRule`, or `NotFound` for the group."""
        async with self._store.scan() as conn:
            if group_id is not None:
                await rows.group_with(conn, group_id)
            found = await fitting(conn, rule, group_id)
            named = await rows.named(conn, found.ids[:limit])
        return GroupPreview(count=len(found.ids), joining=found.joining, leaving=found.leaving, agents=named)

    async def make_group(
        self, *, name: str, rule: str, priority: int, profile: str | None, by: Actor
    ) -> GroupView:
        """Make a group, and tell those it takes in.

        Raises `Invalid`, `InvalidSortingRule`, `Conflict` for a taken name, `NotFound` for the profile.
        """
        new = writes.NewGroup(
            id=new_group_id(self._clock.time()),
            name=_name(name),
            rule=_rule(rule),
            priority=priority,
            profile_id=profile,
            by=by,
        )
        self._telling.soon(
            await self._told_if_unsure(lambda: self._store.writer.submit(writes.MAKE_GROUPS, new))
        )
        return await self.group(new.id)

    async def change_group(
        self,
        group_id: str,
        *,
        name: str | msgspec.UnsetType,
        rule: str | msgspec.UnsetType,
        priority: int | msgspec.UnsetType,
        profile: str | msgspec.UnsetType | None,
        by: Actor,
    ) -> GroupView:
        """Change a group; what is UNSET stays. Raises `NotFound`, and what `make_group` does."""
        change = writes.GroupChange(
            id=GroupId(group_id),
            by=by,
            name=_name(name) if isinstance(name, str) else name,
            rule=_rule(rule) if isinstance(rule, str) else rule,
            priority=priority,
            profile_id=profile,
        )
        self._telling.soon(
            await self._told_if_unsure(lambda: self._store.writer.submit(writes.CHANGE_GROUPS, change))
        )
        return await self.group(group_id)

    async def delete_group(self, group_id: str, *, by: Actor) -> None:
        """Delete a group; its members stay, and lose what it gave them. Raises `NotFound`."""
        deletion = writes.GroupDeletion(id=GroupId(group_id), by=by)
        self._telling.soon(
            await self._told_if_unsure(lambda: self._store.writer.submit(writes.DELETE_GROUPS, deletion))
        )

    async def members(self, group_id: str, *, after: str | None, limit: int | None) -> list[MemberRow]:
        """List a group's members in the order they enrolled. Raises `NotFound`."""
        async with self._store.read() as conn:
            await rows.group_with(conn, group_id)
            return await rows.members_of(conn, group_id, after=after, limit=limit)

    async def set_members(
        self, group_id: str, *, add: Sequence[str], remove: Sequence[str], by: Actor
    ) -> GroupView:
        """Put agents into a group by hand and take others out. Raises `NotFound` for any of them.

        Whom the group's rule takes in stays in it.
        """
        membership = writes.Membership(
            id=GroupId(group_id),
            add=tuple(AgentId(each) for each in add),
            remove=tuple(AgentId(each) for each in remove),
            by=by,
        )
        self._telling.soon(
            await self._told_if_unsure(lambda: self._store.writer.submit(writes.SET_MEMBERS, membership))
        )
        return await self.group(group_id)

    async def _told_if_unsure(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write; where nobody knows whether it is written, tell everybody what there is."""
        try:
            return await write()
        except Unavailable as error:
            if error.fields.get("may_be_written"):
                self._telling.everybody()
            raise


async def _profile_views(conn: Connection) -> list[ProfileView]:
    used = await rows.groups_of_profiles(conn)
    kept = await rows.all_profiles(conn)
    (default,) = [row for row in kept if row.id == DEFAULT]
    return [_profile_view(row, default, used) for row in kept]


async def _group_views(conn: Connection) -> list[GroupView]:
    counts = await rows.member_counts(conn)
    names = {row.id: row.name for row in await rows.all_profiles(conn)}
    return [_group_view(row, names, counts.get(row.id, 0)) for row in await rows.all_groups(conn)]


def _profile_view(
    row: ProfileRow, default: ProfileRow, used: Mapping[ProfileId, Sequence[str]]
) -> ProfileView:
    return ProfileView(
        id=row.id,
        name=row.name,
        is_default=row.id == DEFAULT,
        params=dict(sorted(row.params.items())),
        comes_to=inherited(default.params, row.params),
        groups=list(used.get(row.id, ())),
        created=row.created,
        changed=row.changed,
    )


def _group_view(row: GroupRow, names: Mapping[ProfileId, str], members: int) -> GroupView:
    profile = row.profile_id
    return GroupView(
        id=row.id,
        name=row.name,
        rule=row.rule,
        priority=row.priority,
        profile=None if profile is None else GroupProfile(id=profile, name=names[profile]),
        members=members,
        created=row.created,
    )


def _name(text: str) -> str:
    name = text.strip()
    if not name or not name.isprintable():
        raise Invalid("A name must be printable, and not empty.", field="name")
    return name


def _rule(text: str) -> str:
    """Check a rule; an empty one is none. Raises `InvalidSortingRule`."""
    if text.strip():
        rule_of(text)
        return text
    return ""


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
