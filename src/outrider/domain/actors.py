"""Who does something: what the audit log writes down beside each change."""

from enum import StrEnum
from typing import Final

import msgspec


class ActorKind(StrEnum):
    """What kind of somebody acts."""

    USER = "user"
    AGENT = "agent"
    CENTER = "center"
    """The center itself, on its own clock: a schedule that fires, retention."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, how they came in, and from where."""

    kind: ActorKind
    #: The id of the user or agent.
    id: str
    #: What people call them; it stays readable after they are gone.
    name: str
    #: The id of the session or API token they came in with; empty where there is none.
    via: str = ""
    #: The network address they came from; empty when it is not known.
    address: str = ""


CENTER: Final = Actor(kind=ActorKind.CENTER, id="center", name="center")
