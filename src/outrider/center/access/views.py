"""How the room's routes show people and their sessions."""

from typing import Annotated

import msgspec
from msgspec import Meta

from outrider.center.access.sign_in import SignedIn
from outrider.center.http.callers import Caller
from outrider.domain.roles import Role

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Password = Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]
Code = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[^\x00]*$")]


class LoginBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who signs in; `code` is one of the second factor, or a recovery code."""

    username: Name
    password: Annotated[str, Meta(min_length=1, max_length=1024)]
    code: Code | None = None


class UserView(msgspec.Struct, kw_only=True):
    """A person. `totp` tells whether a second factor is asked for."""

    id: str
    username: str
    role: Role
    totp: bool
    must_change_password: bool


class LoginAnswer(msgspec.Struct, kw_only=True):
    """The token goes into `Authorization: Bearer`; `expires` is unix time."""

    token: str
    expires: int
    user: UserView


class SessionView(msgspec.Struct, kw_only=True):
    """Who the caller is and where."""

    user: UserView
    expires: int
    center: dict[str, str]


class ExchangeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The code that came back with the browser."""

    code: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Status(msgspec.Struct, kw_only=True):
    """A plain word that something is done."""

    status: str


class Count(msgspec.Struct, kw_only=True):
    """How many things ended."""

    ended: int


def user_view(caller: Caller) -> UserView:
    """Show who asks."""
    return UserView(
        id=caller.user_id,
        username=caller.username,
        role=caller.role,
        totp=caller.totp,
        must_change_password=caller.must_change_password,
    )


def session_view(caller: Caller, center: dict[str, str]) -> SessionView:
    """Show who asks, and which center answers."""
    return SessionView(user=user_view(caller), expires=int(caller.expires), center=center)


def login_answer(signed_in: SignedIn) -> LoginAnswer:
    """Show a session that has just been opened."""
    caller = signed_in.caller
    return LoginAnswer(token=signed_in.token, expires=int(caller.expires), user=user_view(caller))
