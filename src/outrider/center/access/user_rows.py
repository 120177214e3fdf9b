"""Users in the database: what reads them, and what changes them together with all that they came in with."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import api_tokens, recovery_codes, second_factors, sessions, users
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER, Actor, ActorKind
from outrider.domain.errors import Conflict, Forbidden, NotFound
from outrider.domain.ids import SessionId, UserId
from outrider.domain.roles import Role


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in."""

    id: UserId
    username: str
    #: Empty for who signs in with a provider only.
    password_hash: str
    role: Role
    created: float
    disabled: bool
    #: What was handed out under another stamp is void.
    stamp: str
    must_change_password: bool
    #: Whether a second factor is asked for.
    totp: bool


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be added."""

    id: UserId
    username: str
    password_hash: str
    role: Role
    stamp: str
    must_change_password: bool = False
    by: Actor = CENTER


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is changed of a user; None leaves it. `stamp` is the new one, if one is needed."""

    user_id: UserId
    stamp: str
    by: Actor
    username: str | None = None
    role: Role | None = None
    disabled: bool | None = None


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be removed."""

    user_id: UserId
    by: Actor


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """A password that somebody gives another; it has to be changed at the next sign-in."""

    user_id: UserId
    password_hash: str
    stamp: str
    by: Actor


class OwnPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password that a user chose; it was checked against the one of the stamp `known`."""

    user_id: UserId
    password_hash: str
    known: str
    stamp: str
    #: The session that goes on; all others end.
    keep: SessionId | None
    by: Actor


_ASKS_FOR_CODE: Final = sa.exists().where(
    second_factors.c.user_id == users.c.id, second_factors.c.secret.is_not(None)
)
COLUMNS: Final = (
    *(users.c[name] for name in User.__struct_fields__ if name != "totp"),
    _ASKS_FOR_CODE.label("totp"),
)
"""What a `User` is made of."""


def no_such_user() -> NotFound:
    """Make the error for a user who does not exist."""
    return NotFound("There is no such user.")


async def user_called(conn: Connection, username: str) -> User | None:
    """Find a user by name, in its normal form."""
    row = (await conn.execute(sa.select(*COLUMNS).where(users.c.username == username))).one_or_none()
    return None if row is None else as_struct(row, User)


async def user_with(conn: Connection, user_id: str) -> User:
    """Find a user by id. Raises NotFound."""
    row = (await conn.execute(sa.select(*COLUMNS).where(users.c.id == user_id))).one_or_none()
    if row is None:
        raise no_such_user()
    return as_struct(row, User)


async def all_users(conn: Connection) -> list[User]:
    """List the users by name."""
    return [
        as_struct(row, User) for row in await conn.execute(sa.select(*COLUMNS).order_by(users.c.username))
    ]


async def count_users(conn: Connection) -> int:
    """Count the users."""
    return (await conn.execute(sa.select(sa.func.count()).select_from(users))).scalar_one()


async def check_may_manage(tx: Transaction, by: Actor, *roles: Role) -> None:
    """Check that who acts may, as things stand in this transaction. Raises Forbidden.

    The role is read anew: it may have changed since the caller was recognised.
    """
    if by.kind is ActorKind.CENTER:
        return
    acting = (
        await tx.conn.execute(sa.select(users.c.role).where(users.c.id == by.id, users.c.disabled.is_(False)))
    ).scalar_one_or_none()
    if acting is None or not Role(acting).may_manage(*roles):
        raise Forbidden(
            f"This takes the role {max(roles, key=list(Role).index).value}: nobody acts above their own."
        )


async def manageable(tx: Transaction, by: Actor, user_id: str) -> User:
    """Find a user whom who acts may manage. Raises NotFound or Forbidden."""
    user = await user_with(tx.conn, user_id)
    await check_may_manage(tx, by, user.role)
    return user


async def void(tx: Transaction, user_id: str, stamp: str, *, keep: SessionId | None = None) -> None:
    """Give a user a new stamp, and end what was handed out under the old one but the session `keep`."""
    await tx.conn.execute(sa.update(users).where(users.c.id == user_id).values(stamp=stamp))
    await tx.conn.execute(sa.delete(api_tokens).where(api_tokens.c.user_id == user_id))
    ended = sa.delete(sessions).where(sessions.c.user_id == user_id)
    await tx.conn.execute(ended if keep is None else ended.where(sessions.c.id != keep))
    tx.event("session.ended", user_id, {})


async def is_last_owner(tx: Transaction, user: User) -> bool:
    """Tell whether this is the last super admin who can sign in."""
    if user.role is not Role.SUPER_ADMIN or user.disabled:
        return False
    others = sa.select(sa.func.count()).where(
        users.c.role == Role.SUPER_ADMIN.value, users.c.disabled.is_(False), users.c.id != user.id
    )
    return not (await tx.conn.execute(others)).scalar_one()


async def is_taken(tx: Transaction, username: str) -> bool:
    """Tell whether a user has this name."""
    found = await tx.conn.execute(sa.select(users.c.id).where(users.c.username == username))
    return found.one_or_none() is not None


async def insert(tx: Transaction, item: NewUser) -> None:
    """Add a user whose name is free, and say so. Raises Conflict."""
    if await is_taken(tx, item.username):
        raise Conflict(f"There is a user {item.username} already.")
    values = {**msgspec.structs.asdict(item), "role": item.role.value, "created": tx.now, "disabled": False}
    del values["by"]
    await tx.conn.execute(sa.insert(users).values(**values))
    told = {"username": item.username, "role": item.role.value}
    tx.event("user.added", item.id, told)
    tx.audit(item.by, "user.add", item.id, told)


class AddUsers:
    """Add users; a name that is taken is a `Conflict`, a role above the adder's `Forbidden`."""

    name = "add users"
    rank = 10

    async def apply(self, tx: Transaction, items: Sequence[NewUser]) -> Sequence[User | Exception]:
        """Add them one by one; return each as it is then."""
        return await one_by_one(tx, items, self._add)

    async def _add(self, tx: Transaction, item: NewUser) -> User:
        await check_may_manage(tx, item.by, item.role)
        await insert(tx, item)
        return await user_with(tx.conn, item.id)


class ChangeUsers:
    """Change users' names and roles, and whether they may sign in."""

    name = "change users"
    rank = 11

    async def apply(self, tx: Transaction, items: Sequence[Change]) -> Sequence[User | Exception]:
        """Change them one by one; return each as it is then."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: Change) -> User:
        user = await manageable(tx, item.by, item.user_id)
        wanted = {"username": item.username, "role": item.role, "disabled": item.disabled}
        changed = {
            name: value
            for name, value in wanted.items()
            if value is not None and value != getattr(user, name)
        }
        if not changed:
            return user
        if item.role is not None:
            await check_may_manage(tx, item.by, item.role)
        if changed.keys() & {"role", "disabled"}:
            if await is_last_owner(tx, user):
                raise Conflict("This is the last super admin who can sign in; make another one first.")
            await void(tx, user.id, item.stamp)
        if item.username in changed.values() and await is_taken(tx, item.username or ""):
            raise Conflict(f"There is a user {item.username} already.")
        await tx.conn.execute(sa.update(users).where(users.c.id == user.id).values(**changed))
        tx.event("user.changed", user.id, changed)
        tx.audit(item.by, "user.change", user.id, {"username": user.username, "changed": changed})
        return await user_with(tx.conn, user.id)


class RemoveUsers:
    """Remove users with all that they came in with; what they did stays in the audit log."""

    name = "remove users"
    rank = 12

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """Remove them one by one."""
        return await one_by_one(tx, items, self._remove)

    async def _remove(self, tx: Transaction, item: Removal) -> None:
        user = await manageable(tx, item.by, item.user_id)
        if await is_last_owner(tx, user):
            raise Conflict("This is the last super admin who can sign in; make another one first.")
        await tx.conn.execute(sa.delete(users).where(users.c.id == user.id))
        tx.event("user.removed", user.id, {"username": user.username})
        tx.audit(item.by, "user.remove", user.id, {"username": user.username, "role": user.role.value})


class ResetPasswords:
    """Give users passwords that have to be changed; their sessions and API tokens end."""

    name = "reset passwords"
    rank = 13

    async def apply(self, tx: Transaction, items: Sequence[Reset]) -> Sequence[Exception | None]:
        """Reset them one by one."""
        return await one_by_one(tx, items, self._reset)

    async def _reset(self, tx: Transaction, item: Reset) -> None:
        user = await manageable(tx, item.by, item.user_id)
        await _set_password(tx, user.id, item.password_hash, must_change=True)
        await void(tx, user.id, item.stamp)
        tx.audit(item.by, "password.reset", user.id, {"username": user.username})


class ChangePasswords:
    """Set passwords that users chose themselves; all their other sessions and their API tokens end."""

    name = "change passwords"
    rank = 14

    async def apply(self, tx: Transaction, items: Sequence[OwnPassword]) -> Sequence[Exception | None]:
        """Set them; `Conflict` when the password was changed by somebody else meanwhile."""
        return await one_by_one(tx, items, self._change)

    async def _change(self, tx: Transaction, item: OwnPassword) -> None:
        user = await user_with(tx.conn, item.user_id)
        if user.stamp != item.known:
            raise Conflict("The password was changed by somebody else just now; sign in again.")
        await _set_password(tx, user.id, item.password_hash, must_change=False)
        await void(tx, user.id, item.stamp, keep=item.keep)
        tx.audit(item.by, "password.change", user.id)


class RemoveSecondFactors:
    """Take users' second factors away, for who has lost theirs."""

    name = "remove second factors"
    rank = 15

    async def apply(self, tx: Transaction, items: Sequence[Removal]) -> Sequence[Exception | None]:
        """Remove them one by one; one that is not there is fine."""
        return await one_by_one(tx, items, self._remove)

    async def _remove(self, tx: Transaction, item: Removal) -> None:
        user = await manageable(tx, item.by, item.user_id)
        await forget_second_factor(tx, user.id)
        tx.event("user.changed", user.id, {"totp": False})
        tx.audit(item.by, "totp.remove", user.id, {"username": user.username})


async def forget_second_factor(tx: Transaction, user_id: str) -> None:
    """Remove a user's second factor with its recovery codes."""
    await tx.conn.execute(sa.delete(second_factors).where(second_factors.c.user_id == user_id))
    await tx.conn.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))


async def _set_password(tx: Transaction, user_id: str, password_hash: str, *, must_change: bool) -> None:
    await tx.conn.execute(
        sa.update(users)
        .where(users.c.id == user_id)
        .values(password_hash=password_hash, must_change_password=must_change)
    )


ADD_USERS = AddUsers()
CHANGE_USERS = ChangeUsers()
REMOVE_USERS = RemoveUsers()
RESET_PASSWORDS = ResetPasswords()
CHANGE_PASSWORDS = ChangePasswords()
REMOVE_SECOND_FACTORS = RemoveSecondFactors()
