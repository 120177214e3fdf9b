"""Who may read which events: the log tells nobody what the routes would refuse them."""

from typing import Final

from outrider.domain.roles import Role

_OF_PEOPLE: Final = frozenset({"user", "session", "token"})
"""What the first word of an event's kind is when it tells of a person; its subject is that user then."""


def may_read(kind: str, subject: str, *, role: Role, user_id: str) -> bool:
    """Tell whether a user with this role may read an event: of people, administrators and they themselves."""
    return kind.partition(".")[0] not in _OF_PEOPLE or subject == user_id or role.covers(Role.ADMIN)
