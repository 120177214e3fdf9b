"""Who may come in: signing in, users, sessions, API tokens, the second factor."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from outrider.client.answers import SignIn, User
from outrider.client.asking import Asking, given, part, said


class UserFacts(User, frozen=True, kw_only=True):
    """A user as an administrator sees one. Times are unix seconds."""

    disabled: bool = False
    created: float | None = None
    last_login: float | None = None


class NewUser(UserFacts, frozen=True, kw_only=True):
    """A user who was just added. `password` is there, this once, when the center made it."""

    password: str | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password that the center made; it is shown this once and must be changed at the next sign-in."""

    password: str


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is open; `current` is the one that asks."""

    id: str
    user_id: str = ""
    username: str = ""
    created: float | None = None
    last_used: float | None = None
    expires: float | None = None
    address: str = ""
    client: str = ""
    current: bool = False


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """An API token as a list shows it: without its text. `expires` None is never."""

    id: str
    name: str = ""
    user_id: str = ""
    username: str = ""
    created: float | None = None
    created_by: str | None = None
    last_used: float | None = None
    expires: float | None = None
    revoked: bool = False


class NewApiToken(ApiToken, frozen=True, kw_only=True):
    """An API token that was just made. `token` is shown this once."""

    token: str


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """A second factor to be confirmed: the secret to type into an app, or `uri` as its QR code."""

    secret: str
    uri: str


class _RecoveryCodes(msgspec.Struct, frozen=True):
    recovery_codes: list[str]


class StreamToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token for one use in the `?token=` of a stream, where no header can be sent."""

    token: str
    expires: float


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An OIDC provider that people may sign in with."""

    name: str
    label: str = ""


_USERS: Final = "/api/users"


class Access(Asking):
    """The methods about who may come in. `user` parameters are ids."""

    _token: str | None

    async def login(self, username: str, password: str, *, code: str | None = None) -> SignIn:
        """Sign in; later requests carry the new token.

        `code` is of the second factor or a recovery code. Raises SecondFactorRequired where one is needed,
        Unauthenticated, or Throttled (retry_after).
        """
        body = {"username": username, "password": password} | given({"code": code})
        return await self._signed_in("/api/login", body)

    async def _signed_in(self, path: str, body: object) -> SignIn:
        transport = self._transport()
        signed_in = await transport.ask("POST", path, SignIn, body=body)
        self._token = transport.token = signed_in.token
        return signed_in

    async def logout(self) -> None:
        """End the session of our token."""
        transport = self._transport()
        await transport.fetch("POST", "/api/logout", repeatable=True)
        self._token = transport.token = None

    async def change_password(self, current: str, new: str) -> None:
        """Change our own password. Raises Unauthenticated when `current` is wrong, Invalid for a bad one."""
        await self._transport().fetch("POST", "/api/password", body={"current": current, "new": new})

    async def oidc_providers(self) -> list[Provider]:
        """The OIDC providers that people may sign in with; nobody has to be signed in to ask."""
        return await self._transport().ask("GET", "/api/oidc", list[Provider], repeatable=True)

    def oidc_address(self, provider: str, redirect: str) -> str:
        """The address a person opens to sign in; the provider sends them on to `redirect`, with a code."""
        path = f"/api/oidc/{part(provider)}/login?{urlencode({'redirect': redirect})}"
        return self.url.rstrip("/") + path

    async def oidc_exchange(self, code: str) -> SignIn:
        """Open the session that the one-use `code` stands for; later requests carry its token."""
        return await self._signed_in("/api/oidc/exchange", {"code": code})

    async def sessions(self, *, user: str | None = None) -> list[SessionFacts]:
        """Our open sessions; those of `user` for who may manage them."""
        return await self._transport().ask(
            "GET", "/api/sessions", list[SessionFacts], query=given({"user": user}), repeatable=True
        )

    async def end_session(self, session_id: str) -> None:
        """End a session. Raises NotFound."""
        await self._transport().fetch("DELETE", f"/api/sessions/{part(session_id)}")

    async def end_other_sessions(self) -> None:
        """End all of our sessions but this one."""
        await self._transport().fetch("DELETE", "/api/sessions", repeatable=True)

    async def users(self) -> list[UserFacts]:
        """All users."""
        return await self._transport().ask("GET", _USERS, list[UserFacts], repeatable=True)

    async def user(self, user_id: str) -> UserFacts:
        """One user. Raises NotFound."""
        return await self._transport().ask("GET", _user(user_id), UserFacts, repeatable=True)

    async def add_user(self, username: str, role: str, *, password: str | None = None) -> NewUser:
        """Add a user; without a password the center makes one and tells it this once. Raises Conflict."""
        body = {"username": username, "role": role} | given({"password": password})
        return await self._transport().ask("POST", _USERS, NewUser, body=body)

    async def edit_user(
        self,
        user_id: str,
        *,
        username: str | None = None,
        role: str | None = None,
        disabled: bool | None = None,
    ) -> UserFacts:
        """Change a user; None leaves as it is."""
        values = {"username": username, "role": role, "disabled": disabled}
        body = {name: value for name, value in values.items() if value is not None}
        return await self._transport().ask("PATCH", _user(user_id), UserFacts, body=body, repeatable=True)

    async def delete_user(self, user_id: str) -> None:
        """Delete a user with sessions and tokens. Raises NotFound."""
        await self._transport().fetch("DELETE", _user(user_id))

    async def reset_password(self, user_id: str) -> NewPassword:
        """Give a user a password made by the center, which must be changed; their sessions end."""
        return await self._transport().ask("POST", _user(user_id) + "/password", NewPassword)

    async def remove_second_factor(self, user_id: str) -> None:
        """Take a user's second factor away, for somebody who has lost it."""
        await self._transport().fetch("DELETE", _user(user_id) + "/totp")

    async def tokens(self, *, user: str | None = None) -> list[ApiToken]:
        """Our API tokens; those of `user`, or everybody's, for who may manage them."""
        return await self._transport().ask(
            "GET", "/api/tokens", list[ApiToken], query=given({"user": user}), repeatable=True
        )

    async def new_token(
        self, name: str, *, user: str | None = None, expires: float | None = None
    ) -> NewApiToken:
        """Make an API token for `user` (None: ourselves), until `expires` (unix time; None: for ever).

        Its text is shown this once.
        """
        values: dict[str, Any] = {
            "user_id": msgspec.UNSET if user is None else user,
            "expires": msgspec.UNSET if expires is None else int(expires),
        }
        return await self._transport().ask(
            "POST", "/api/tokens", NewApiToken, body={"name": name} | said(values)
        )

    async def revoke_token(self, token_id: str) -> None:
        """End an API token. Raises NotFound."""
        await self._transport().fetch("DELETE", f"/api/tokens/{part(token_id)}")

    async def revoke_tokens(self, user_id: str) -> None:
        """End all API tokens of a user at once."""
        await self._transport().fetch("POST", _user(user_id) + "/revoke-tokens")

    async def begin_totp(self, password: str) -> SecondFactor:
        """Begin to set up a second factor (TOTP); it counts once it is confirmed."""
        return await self._transport().ask("POST", "/api/totp", SecondFactor, body={"password": password})

    async def confirm_totp(self, code: str) -> list[str]:
        """Confirm the second factor with a code of the app. Returns the recovery codes, shown this once."""
        answer = await self._transport().ask("POST", "/api/totp/confirm", _RecoveryCodes, body={"code": code})
        return answer.recovery_codes

    async def disable_totp(self, password: str) -> None:
        """Give our second factor up."""
        await self._transport().fetch("DELETE", "/api/totp", body={"password": password})

    async def stream_token(self) -> StreamToken:
        """A short-lived token for one stream, for where no header can be sent."""
        return await self._transport().ask("POST", "/api/stream-token", StreamToken)


def _user(user_id: str) -> str:
    return f"{_USERS}/{part(user_id)}"
