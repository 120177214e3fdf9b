"""The access room's statements: users and sessions."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import sessions, users
from outrider.center.store.writer import Transaction
from outrider.domain.errors import Conflict
from outrider.domain.ids import SessionId, UserId
from outrider.domain.roles import Role


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in."""

    id: UserId
    username: str
    password_hash: str
    role: Role
    disabled: bool


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be added."""

    id: UserId
    username: str
    password_hash: str
    role: Role
    stamp: str


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to be opened; only the token's hash is kept."""

    id: SessionId
    user_id: UserId
    token_hash: bytes
    expires: float
    address: str
    client: str


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session with its user, as `authenticate` needs it."""

    id: SessionId
    user_id: UserId
    username: str
    role: Role
    disabled: bool
    expires: float


async def user_called(conn: Connection, username: str) -> User | None:
    """Find a user by name."""
    row = (
        await conn.execute(
            sa.select(
                users.c.id, users.c.username, users.c.password_hash, users.c.role, users.c.disabled
            ).where(users.c.username == username)
        )
    ).one_or_none()
    return None if row is None else as_struct(row, User)


async def count_users(conn: Connection) -> int:
    """Count the users."""
    return (await conn.execute(sa.select(sa.func.count()).select_from(users))).scalar_one()


async def session_with(conn: Connection, token_hash: bytes) -> OpenSession | None:
    """Find a session by its token's hash."""
    row = (
        await conn.execute(
            sa.select(
                sessions.c.id,
                sessions.c.user_id,
                sessions.c.expires,
                users.c.username,
                users.c.role,
                users.c.disabled,
            )
            .join(users, users.c.id == sessions.c.user_id)
            .where(sessions.c.token_hash == token_hash)
        )
    ).one_or_none()
    return None if row is None else as_struct(row, OpenSession)


class AddUsers:
    """Add users; a name that is taken is a `Conflict`."""

    name = "add users"
    rank = 10

    async def apply(self, tx: Transaction, items: Sequence[NewUser]) -> Sequence[Exception | None]:
        """Insert those whose name is free."""
        names = [item.username for item in items]
        taken = set(
            (await tx.conn.execute(sa.select(users.c.username).where(users.c.username.in_(names)))).scalars()
        )
        results: list[Exception | None] = []
        for item in items:
            if item.username in taken:
                results.append(Conflict(f"There is a user {item.username} already."))
                continue
            taken.add(item.username)
            await tx.conn.execute(
                sa.insert(users).values(
                    id=item.id,
                    username=item.username,
                    password_hash=item.password_hash,
                    role=item.role.value,
                    created=tx.now,
                    disabled=False,
                    stamp=item.stamp,
                )
            )
            tx.event("user.added", item.id, {"username": item.username, "role": item.role.value})
            results.append(None)
        return results


class OpenSessions:
    """Open sessions."""

    name = "open sessions"
    rank = 20

    async def apply(self, tx: Transaction, items: Sequence[NewSession]) -> Sequence[None]:
        """Insert them all."""
        await tx.conn.execute(
            sa.insert(sessions),
            [
                {
                    "id": item.id,
                    "user_id": item.user_id,
                    "token_hash": item.token_hash,
                    "created": tx.now,
                    "last_used": tx.now,
                    "expires": item.expires,
                    "address": item.address,
                    "client": item.client,
                }
                for item in items
            ],
        )
        return [None] * len(items)


class EndSessions:
    """End sessions by id; one that is gone already is fine."""

    name = "end sessions"
    rank = 30

    async def apply(self, tx: Transaction, items: Sequence[SessionId]) -> Sequence[None]:
        """Delete them all."""
        await tx.conn.execute(sa.delete(sessions).where(sessions.c.id.in_(items)))
        return [None] * len(items)


ADD_USERS = AddUsers()
OPEN_SESSIONS = OpenSessions()
END_SESSIONS = EndSessions()
