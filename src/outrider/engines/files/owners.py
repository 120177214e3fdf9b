"""Who a file is to belong to. Asks the host's user directory, so it blocks."""

import grp
import pwd

from outrider.domain.errors import Invalid

UNCHANGED = -1
"""What chown takes for: as it is."""


def parse_owner(text: str) -> tuple[int, int]:
    """Return the user and group ids that `user`, `user:group` or `:group` name; numbers count as ids.

    Raises Invalid when there is no such user or group here.
    """
    user, _, group = text.partition(":")
    return (_user(user) if user else UNCHANGED, _group(group) if group else UNCHANGED)


def _user(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return _number(name, "user")


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return _number(name, "group")


def _number(name: str, what: str) -> int:
    if name.isascii() and name.isdigit() and int(name) < 2**32 - 1:
        return int(name)
    raise Invalid(f"There is no {what} {name[:100]!r} on this host.", field="owner")
