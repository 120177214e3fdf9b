"""The methods of `outrider.client.groups`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from outrider.client.groups import Group, GroupMember, Profile, ProfileParameter


class WaitingGroups(Waiting):
    """The methods of Groups in `outrider.client.groups`; they promise and raise the same."""

    def groups(self) -> list[Group]:
        """All groups."""
        return self._wait(self._center.groups())

    def group(self, group_id: str) -> Group:
        """One group. Raises NotFound."""
        return self._wait(self._center.group(group_id))

    def new_group(
        self, name: str, *, rule: str = "", priority: int = 0, profile_id: str | None = None
    ) -> Group:
        """Make a group. Raises Invalid, for a rule with the place of the error."""
        return self._wait(self._center.new_group(name, rule=rule, priority=priority, profile_id=profile_id))

    def edit_group(
        self,
        group_id: str,
        *,
        name: str | msgspec.UnsetType = msgspec.UNSET,
        rule: str | msgspec.UnsetType = msgspec.UNSET,
        priority: int | msgspec.UnsetType = msgspec.UNSET,
        profile_id: str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> Group:
        """Change a group; with `profile_id` None it gives no profile any more."""
        return self._wait(
            self._center.edit_group(group_id, name=name, rule=rule, priority=priority, profile_id=profile_id)
        )

    def delete_group(self, group_id: str) -> None:
        """Delete a group; its members stay."""
        self._wait(self._center.delete_group(group_id))

    def group_members(self, group_id: str) -> list[GroupMember]:
        """All members of a group, in the order they enrolled."""
        return self._wait(self._center.group_members(group_id))

    def set_group_members(
        self, group_id: str, *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> Group:
        """Put agents into a group by hand, and take others out; whom its rule takes in stays in it."""
        return self._wait(self._center.set_group_members(group_id, add=add, remove=remove))

    def profiles(self) -> list[Profile]:
        """All profiles."""
        return self._wait(self._center.profiles())

    def profile(self, profile_id: str) -> Profile:
        """One profile. Raises NotFound."""
        return self._wait(self._center.profile(profile_id))

    def profile_parameters(self) -> list[ProfileParameter]:
        """The parameters that the center knows; a profile may have others, too."""
        return self._wait(self._center.profile_parameters())

    def new_profile(self, name: str, params: Mapping[str, str]) -> Profile:
        """Make a profile. Raises Invalid, naming the parameter."""
        return self._wait(self._center.new_profile(name, params))

    def edit_profile(
        self, profile_id: str, params: Mapping[str, str | None], *, name: str | None = None
    ) -> Profile:
        """Change a profile: parameters that are not named stay, None removes one."""
        return self._wait(self._center.edit_profile(profile_id, params, name=name))

    def delete_profile(self, profile_id: str) -> None:
        """Delete a profile that no group gives. Raises Conflict."""
        self._wait(self._center.delete_profile(profile_id))
