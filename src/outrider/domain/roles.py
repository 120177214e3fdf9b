"""Who may do what: an ordered list of roles, each holding the rights of those before it."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A user's role. Viewer reads state, operator acts, admin manages, super admin owns."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    SUPER_ADMIN = "super_admin"

    def covers(self, needed: "Role") -> bool:
        """Tell whether this role holds the rights of `needed`."""
        return _RANK[self] >= _RANK[needed]

    def may_manage(self, *others: "Role") -> bool:
        """Tell whether who has this role may act on users of the others, or give these roles away.

        An admin manages users up to admins; nobody reaches above their own role.
        """
        return self.covers(Role.ADMIN) and all(self.covers(other) for other in others)


_RANK: Final = {role: rank for rank, role in enumerate(Role)}
