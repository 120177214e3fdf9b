"""The methods of `outrider.client.access`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.access import (
        ApiToken,
        NewApiToken,
        NewPassword,
        NewUser,
        Provider,
        SecondFactor,
        SessionFacts,
        StreamToken,
        UserFacts,
    )
    from outrider.client.answers import SignIn


class WaitingAccess(Waiting):
    """The methods of Access in `outrider.client.access`; they promise and raise the same."""

    def login(self, username: str, password: str, *, code: str | None = None) -> SignIn:
        """Sign in; later requests carry the new token."""
        return self._wait(self._center.login(username, password, code=code))

    def logout(self) -> None:
        """End the session of our token."""
        self._wait(self._center.logout())

    def change_password(self, current: str, new: str) -> None:
        """Change our own password. Raises Unauthenticated when `current` is wrong, Invalid for a bad one."""
        self._wait(self._center.change_password(current, new))

    def oidc_providers(self) -> list[Provider]:
        """The OIDC providers that people may sign in with; nobody has to be signed in to ask."""
        return self._wait(self._center.oidc_providers())

    def oidc_address(self, provider: str, redirect: str) -> str:
        """The address a person opens to sign in; the provider sends them on to `redirect`, with a code."""
        return self._center.oidc_address(provider, redirect)

    def oidc_exchange(self, code: str) -> SignIn:
        """Open the session that the one-use `code` stands for; later requests carry its token."""
        return self._wait(self._center.oidc_exchange(code))

    def sessions(self, *, user: str | None = None) -> list[SessionFacts]:
        """Our open sessions; those of `user` for who may manage them."""
        return self._wait(self._center.sessions(user=user))

    def end_session(self, session_id: str) -> None:
        """End a session. Raises NotFound."""
        self._wait(self._center.end_session(session_id))

    def end_other_sessions(self) -> None:
        """End all of our sessions but this one."""
        self._wait(self._center.end_other_sessions())

    def users(self) -> list[UserFacts]:
        """All users."""
        return self._wait(self._center.users())

    def user(self, user_id: str) -> UserFacts:
        """One user. Raises NotFound."""
        return self._wait(self._center.user(user_id))

    def add_user(self, username: str, role: str, *, password: str | None = None) -> NewUser:
        """Add a user; without a password the center makes one and tells it this once. Raises Conflict."""
        return self._wait(self._center.add_user(username, role, password=password))

    def edit_user(
        self,
        user_id: str,
        *,
        username: str | None = None,
        role: str | None = None,
        disabled: bool | None = None,
    ) -> UserFacts:
        """Change a user; None leaves as it is."""
        return self._wait(self._center.edit_user(user_id, username=username, role=role, disabled=disabled))

    def delete_user(self, user_id: str) -> None:
        """Delete a user with sessions and tokens. Raises NotFound."""
        self._wait(self._center.delete_user(user_id))

    def reset_password(self, user_id: str) -> NewPassword:
        """Give a user a password made by the center, which must be changed; their sessions end."""
        return self._wait(self._center.reset_password(user_id))

    def remove_second_factor(self, user_id: str) -> None:
        """Take a user's second factor away, for somebody who has lost it."""
        self._wait(self._center.remove_second_factor(user_id))

    def tokens(self, *, user: str | None = None) -> list[ApiToken]:
        """Our API tokens; those of `user`, or everybody's, for who may manage them."""
        return self._wait(self._center.tokens(user=user))

    def new_token(self, name: str, *, user: str | None = None, expires: float | None = None) -> NewApiToken:
        """Make an API token for `user` (None: ourselves), until `expires` (unix time; None: for ever)."""
        return self._wait(self._center.new_token(name, user=user, expires=expires))

    def revoke_token(self, token_id: str) -> None:
        """End an API token. Raises NotFound."""
        self._wait(self._center.revoke_token(token_id))

    def revoke_tokens(self, user_id: str) -> None:
        """End all API tokens of a user at once."""
        self._wait(self._center.revoke_tokens(user_id))

    def begin_totp(self, password: str) -> SecondFactor:
        """Begin to set up a second factor (TOTP); it counts once it is confirmed."""
        return self._wait(self._center.begin_totp(password))

    def confirm_totp(self, code: str) -> list[str]:
        """Confirm the second factor with a code of the app. Returns the recovery codes, shown this once."""
        return self._wait(self._center.confirm_totp(code))

    def disable_totp(self, password: str) -> None:
        """Give our second factor up."""
        self._wait(self._center.disable_totp(password))

    def stream_token(self) -> StreamToken:
        """A short-lived token for one stream, for where no header can be sent."""
        return self._wait(self._center.stream_token())
