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


_RANK: Final = {role: rank for rank, role in enumerate(Role)}
