"""What administrators do with users."""

import secrets

from outrider.center.access import user_rows
from outrider.center.access.hashing import Hashing
from outrider.center.access.known import KnownCallers
from outrider.center.access.own_password import refuse_weak
from outrider.center.access.stamps import new_stamp
from outrider.center.access.user_rows import (
    ADD_USERS,
    CHANGE_USERS,
    REMOVE_SECOND_FACTORS,
    REMOVE_USERS,
    RESET_PASSWORDS,
    Change,
    NewUser,
    Removal,
    Reset,
    User,
)
from outrider.center.store.engine import Store
from outrider.domain import usernames
from outrider.domain.actors import Actor
from outrider.domain.errors import Conflict, Invalid
from outrider.domain.ids import UserId, new_user_id
from outrider.domain.roles import Role
from outrider.kit.clock import Clock

_MADE_BYTES = 15


class Users:
    """Adds, changes and removes users. Nobody acts above their own role; each method may raise Forbidden."""

    def __init__(self, store: Store, clock: Clock, hashing: Hashing, known: KnownCallers) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._hashing = hashing
        self._known = known

    async def all(self) -> list[User]:
        """List the users by name."""
        async with self._store.scan() as conn:
            return await user_rows.all_users(conn)

    async def show(self, user_id: str) -> User:
        """Show a user. Raises NotFound."""
        async with self._store.read() as conn:
            return await user_rows.user_with(conn, user_id)

    async def add(
        self, username: str, role: Role, password: str | None, *, by: Actor
    ) -> tuple[User, str | None]:
        """Add a user; return it with the password that was made for it, if none was given.

        A password that was made has to be changed at the first sign-in. Raises Invalid, PasswordRefused or
        Conflict.
        """
        name = _checked_name(username)
        if password is not None:
            refuse_weak(password, username=name)
        chosen = password or secrets.token_urlsafe(_MADE_BYTES)
        user = await self._store.writer.submit(
            ADD_USERS,
            NewUser(
                id=new_user_id(self._clock.time()),
                username=name,
                password_hash=await self._hashing.hash(chosen),
                role=role,
                stamp=new_stamp(),
                must_change_password=password is None,
                by=by,
            ),
        )
        return user, chosen if password is None else None

    async def change(
        self,
        user_id: str,
        *,
        username: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        by: Actor,
    ) -> User:
        """Change a user. Another role, or being disabled, ends their sessions and API tokens.

        Raises NotFound, Invalid, or Conflict for a name that is taken and for the last super admin.
        """
        change = Change(
            user_id=UserId(user_id),
            stamp=new_stamp(),
            by=by,
            username=None if username is None else _checked_name(username),
            role=role,
            disabled=disabled,
        )
        try:
            return await self._store.writer.submit(CHANGE_USERS, change)
        finally:
            self._known.forget_user(user_id)

    async def remove(self, user_id: str, *, by: Actor) -> None:
        """Remove a user with sessions, API tokens and second factor. Raises NotFound or Conflict."""
        try:
            await self._store.writer.submit(REMOVE_USERS, Removal(user_id=UserId(user_id), by=by))
        finally:
            self._known.forget_user(user_id)

    async def reset_password(self, user_id: str, *, by: Actor) -> str:
        """Give a user a new password, to be changed at the next sign-in; return it.

        Their sessions and API tokens end. Raises NotFound, or Conflict for one's own.
        """
        if user_id == by.id:
            raise Conflict("Change your own password with POST /api/password.")
        # Hashing costs much; nobody's password is not worth it.
        await self.show(user_id)
        made = secrets.token_urlsafe(_MADE_BYTES)
        reset = Reset(
            user_id=UserId(user_id),
            password_hash=await self._hashing.hash(made),
            stamp=new_stamp(),
            by=by,
        )
        try:
            await self._store.writer.submit(RESET_PASSWORDS, reset)
        finally:
            self._known.forget_user(user_id)
        return made

    async def remove_second_factor(self, user_id: str, *, by: Actor) -> None:
        """Take the second factor of who has lost it away. Raises NotFound, or Conflict for one's own."""
        if user_id == by.id:
            raise Conflict("Give up your own second factor with DELETE /api/totp.")
        try:
            await self._store.writer.submit(REMOVE_SECOND_FACTORS, Removal(user_id=UserId(user_id), by=by))
        finally:
            self._known.forget_user(user_id)


def _checked_name(text: str) -> str:
    name = usernames.normal(text)
    reason = usernames.reason_against(name)
    if reason is not None:
        raise Invalid(reason, field="username")
    return name
