"""What changes profiles. Each says whom it concerns: those agents are told."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.groups.names import refuse_double
from outrider.center.groups.rows import groups_of_profiles, ids_in_groups, profile_with
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.schema import groups, profiles
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import Conflict
from outrider.domain.ids import AgentId, ProfileId
from outrider.domain.profiles import DEFAULT, merged


class NewProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile to be made; its parameters have been checked."""

    id: ProfileId
    name: str
    params: dict[str, str]
    by: Actor


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a profile; None leaves the name, and removes a parameter."""

    id: ProfileId
    by: Actor
    name: str | None = None
    params: Mapping[str, str | None] = {}


class ProfileDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A profile to be deleted."""

    id: ProfileId
    by: Actor


class Concerned(msgspec.Struct, frozen=True, kw_only=True):
    """The agents that a change concerns; `everybody`, when that is all of them."""

    ids: frozenset[AgentId] = frozenset()
    everybody: bool = False


class MakeProfiles:
    """Make profiles."""

    name = "make profiles"
    rank = 43

    async def apply(self, tx: Transaction, items: Sequence[NewProfile]) -> Sequence[Exception | None]:
        """Insert each; `Conflict` for a name that is taken."""
        return await one_by_one(tx, items, self._make)

    async def _make(self, tx: Transaction, item: NewProfile) -> None:
        await refuse_double(tx, profiles, "profile", item.name)
        values = {
            "id": item.id,
            "name": item.name,
            "params": item.params,
            "created": tx.now,
            "changed": tx.now,
        }
        await tx.conn.execute(sa.insert(profiles).values(**values))
        tx.audit(item.by, "profile.make", item.id, {"name": item.name, "params": item.params})
        tx.event("profile.made", item.id, {"name": item.name, "by": item.by.name})


class ChangeProfiles:
    """Change profiles."""

    name = "change profiles"
    rank = 44

    async def apply(self, tx: Transaction, items: Sequence[ProfileChange]) -> Sequence[Concerned | Exception]:
        """Change each; `NotFound`, `Conflict` or `Invalid` for one that can't be."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: ProfileChange) -> Concerned:
        row = await profile_with(tx.conn, item.id)
        params = merged(row.params, item.params)
        name = row.name if item.name is None else item.name
        if (name, params) == (row.name, row.params):
            return Concerned()
        if name != row.name:
            if item.id == DEFAULT:
                raise Conflict("The default profile keeps its name.", field="name")
            await refuse_double(tx, profiles, "profile", name, but=item.id)
        await tx.conn.execute(
            sa.update(profiles)
            .where(profiles.c.id == item.id)
            .values(name=name, params=params, changed=tx.now)
        )
        said = {"name": name, "params": {key: item.params[key] for key in sorted(item.params)}}
        tx.audit(item.by, "profile.change", item.id, said)
        changed = sorted(
            key for key in params.keys() | row.params.keys() if params.get(key) != row.params.get(key)
        )
        tx.event("profile.changed", item.id, {"name": name, "params": changed, "by": item.by.name})
        if item.id == DEFAULT:
            return Concerned(everybody=True)
        return Concerned(ids=frozenset(await ids_in_groups(tx.conn, groups.c.profile_id == item.id)))


class DeleteProfiles:
    """Delete profiles that no group gives."""

    name = "delete profiles"
    rank = 45

    async def apply(self, tx: Transaction, items: Sequence[ProfileDeletion]) -> Sequence[Exception | None]:
        """Delete each; `NotFound`, or `Conflict` for the default one and one that is in use."""
        return await one_by_one(tx, items, self._delete)

    async def _delete(self, tx: Transaction, item: ProfileDeletion) -> None:
        row = await profile_with(tx.conn, item.id)
        if item.id == DEFAULT:
            raise Conflict("The default profile can't be deleted: all others inherit from it.")
        users = (await groups_of_profiles(tx.conn)).get(item.id, [])
        if users:
            named = ", ".join(users[:5])
            raise Conflict(
                f"The profile is in use by {named}; give these groups another one first.", groups=users[:50]
            )
        await tx.conn.execute(sa.delete(profiles).where(profiles.c.id == item.id))
        tx.audit(item.by, "profile.delete", item.id, {"name": row.name, "params": row.params})
        tx.event("profile.deleted", item.id, {"name": row.name, "by": item.by.name})


MAKE_PROFILES = MakeProfiles()
CHANGE_PROFILES = ChangeProfiles()
DELETE_PROFILES = DeleteProfiles()
