"""Users of the host, as a command may run as one of them."""

import os
import pwd
from dataclasses import dataclass

from outrider.engines.commands.start_errors import CannotStart


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with the groups that a login gives. `switch` tells that starting as this user changes ids."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    login_shell: str
    switch: bool


def find_account(user: str | None) -> Account:
    """Return the account to run as: `user`, or the agent's own for None.

    May ask a directory server, so it blocks. Raises CannotStart when there is no such user, or when only root
    could become that user.
    """
    own = os.geteuid()
    if user is None:
        return _own_account(own)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CannotStart(f"there is no user {user!r} on this host; name an existing user or none") from None
    if entry.pw_uid == own:
        return _own_account(own)
    if own != 0:
        name = _own_account(own).name
        raise CannotStart(
            f"the agent runs as {name} and can't become {user!r}; leave out `user`, or run the agent as root"
        )
    return Account(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
        home=entry.pw_dir or "/",
        login_shell=entry.pw_shell or "/bin/sh",
        switch=True,
    )


def _own_account(uid: int) -> Account:
    """Return the agent's own account; in a container it may have no name."""
    gid = os.getegid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        name, home, shell = str(uid), "/", "/bin/sh"
    else:
        name, home, shell = entry.pw_name, entry.pw_dir or "/", entry.pw_shell or "/bin/sh"
    return Account(
        name=name, uid=uid, gid=gid, groups=tuple(os.getgroups()), home=home, login_shell=shell, switch=False
    )
