"""Groups of agents, and the profiles that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.asking import Asking, pages, part, said
from outrider.client.fleet import LONG_PAGE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile. `params` are its own, `comes_to` are these with what it inherits from the default one."""

    id: str
    name: str = ""
    is_default: bool = False
    params: dict[str, str] = {}
    comes_to: dict[str, str] = {}
    groups: list[str] = []
    created: float | None = None
    changed: float | None = None


class ProfileParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that the center knows, with what it takes and does."""

    name: str
    default: str = ""
    takes: str = ""
    means: str = ""


class GroupProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile that a group gives."""

    id: str
    name: str = ""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group: its sorting rule (empty: none), and how many agents are in it."""

    id: str
    name: str = ""
    rule: str = ""
    priority: int = 0
    profile: GroupProfile | None = None
    members: int = 0
    created: float | None = None


class GroupMember(msgspec.Struct, frozen=True, kw_only=True):
    """An agent in a group: there by hand, by the group's rule, or by both."""

    id: str
    label: str = ""
    by_hand: bool = False
    by_rule: bool = False


_GROUPS: Final = "/api/groups"
_PROFILES: Final = "/api/profiles"


class Groups(Asking):
    """The methods about groups and profiles. Where something is left UNSET, it stays as it is."""

    async def groups(self) -> list[Group]:
        """All groups."""
        return await self._transport().ask("GET", _GROUPS, list[Group], repeatable=True)

    async def group(self, group_id: str) -> Group:
        """One group. Raises NotFound."""
        return await self._transport().ask("GET", _group(group_id), Group, repeatable=True)

    async def new_group(
        self, name: str, *, rule: str = "", priority: int = 0, profile_id: str | None = None
    ) -> Group:
        """Make a group. Raises Invalid, for a rule with the place of the error."""
        body = {"name": name, "rule": rule, "priority": priority, "profile": profile_id}
        return await self._transport().ask("POST", _GROUPS, Group, body=body)

    async def edit_group(
        self,
        group_id: str,
        *,
        name: str | msgspec.UnsetType = msgspec.UNSET,
        rule: str | msgspec.UnsetType = msgspec.UNSET,
        priority: int | msgspec.UnsetType = msgspec.UNSET,
        profile_id: str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> Group:
        """Change a group; with `profile_id` None it gives no profile any more."""
        body = said({"name": name, "rule": rule, "priority": priority, "profile": profile_id})
        return await self._transport().ask("PATCH", _group(group_id), Group, body=body, repeatable=True)

    async def delete_group(self, group_id: str) -> None:
        """Delete a group; its members stay."""
        await self._transport().fetch("DELETE", _group(group_id))

    async def group_members(self, group_id: str) -> list[GroupMember]:
        """All members of a group, in the order they enrolled."""
        found = pages(self, f"{_group(group_id)}/members", GroupMember, {"limit": LONG_PAGE})
        return [member async for page in found for member in page]

    async def set_group_members(
        self, group_id: str, *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> Group:
        """Put agents into a group by hand, and take others out; whom its rule takes in stays in it."""
        body = {"add": list(add), "remove": list(remove)}
        path = f"{_group(group_id)}/members"
        return await self._transport().ask("POST", path, Group, body=body, repeatable=True)

    async def profiles(self) -> list[Profile]:
        """All profiles."""
        return await self._transport().ask("GET", _PROFILES, list[Profile], repeatable=True)

    async def profile(self, profile_id: str) -> Profile:
        """One profile. Raises NotFound."""
        return await self._transport().ask("GET", _profile(profile_id), Profile, repeatable=True)

    async def profile_parameters(self) -> list[ProfileParameter]:
        """The parameters that the center knows; a profile may have others, too."""
        return await self._transport().ask(
            "GET", "/api/profile-parameters", list[ProfileParameter], repeatable=True
        )

    async def new_profile(self, name: str, params: Mapping[str, str]) -> Profile:
        """Make a profile. Raises Invalid, naming the parameter."""
        body: dict[str, Any] = {"name": name, "params": dict(params)}
        return await self._transport().ask("POST", _PROFILES, Profile, body=body)

    async def edit_profile(
        self, profile_id: str, params: Mapping[str, str | None], *, name: str | None = None
    ) -> Profile:
        """Change a profile: parameters that are not named stay, None removes one."""
        body: dict[str, Any] = {"params": dict(params)}
        if name is not None:
            body["name"] = name
        return await self._transport().ask("PATCH", _profile(profile_id), Profile, body=body, repeatable=True)

    async def delete_profile(self, profile_id: str) -> None:
        """Delete a profile that no group gives. Raises Conflict."""
        await self._transport().fetch("DELETE", _profile(profile_id))


def _group(group_id: str) -> str:
    return f"{_GROUPS}/{part(group_id)}"


def _profile(profile_id: str) -> str:
    return f"{_PROFILES}/{part(profile_id)}"
