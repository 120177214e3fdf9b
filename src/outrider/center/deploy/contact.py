"""The terms on which a host is reached: with what somebody signs in, for how long each part is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """For how many seconds each part may take. A host that never answers holds up nobody for longer."""

    #: Until the host's key is known.
    connect: float = 20.0
    authenticate: float = 40.0
    #: Until a program there says its first word, a sudo's question among them.
    begin: float = 30.0
    #: Between two words of the installer.
    silence: float = 120.0
    #: For a host that takes nothing of what is sent to it.
    stalled: float = 60.0
    #: For the installer to undo what it did.
    undo: float = 45.0
    #: Until the agent is online.
    online: float = 60.0
    #: For the link of an agent that says it is online.
    link: float = 15.0


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody signs in with: tried in this order."""

    #: Private keys, opened.
    keys: Sequence[Any] = ()
    #: The socket of an SSH agent.
    agent: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return "Credentials(...)"


class ConnectionLost(Exception):
    """The program has ended, or the connection to it has."""


class HostKeyMismatch(Exception):
    """The host's key is refused; the text says why."""
