"""Sessions in the database: opened, found by their token, listed, ended."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.access import user_rows
from outrider.center.store.connection import Connection
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import (
    api_tokens,
    recovery_codes,
    second_factors,
    sessions,
    users,
)
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import NotFound, Unauthenticated
from outrider.domain.ids import SessionId, UserId
from outrider.domain.roles import Role


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a second factor proved itself with, to be spent as the session opens."""

    #: The step of a code by time.
    step: int | None = None
    #: The hash of a recovery code.
    recovery: bytes | None = None


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to be opened for a user whose password was checked under `stamp`; only a hash is kept."""

    id: SessionId
    user_id: UserId
    stamp: str
    token_hash: bytes
    expires: float
    address: str
    client: str
    by: Actor
    #: `password`, or the name of a provider.
    means: str = "password"
    proof: Proof = Proof()


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it is kept, with its user's name."""

    id: SessionId
    user_id: UserId
    username: str
    created: float
    last_used: float
    expires: float
    address: str
    client: str


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A session to be ended."""

    session_id: str
    by: Actor


class EndingOthers(msgspec.Struct, frozen=True, kw_only=True):
    """All sessions of a user to be ended but one."""

    user_id: UserId
    keep: SessionId | None
    by: Actor


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that failed. `by` is nobody where the name is nobody's."""

    by: Actor
    reason: str
    #: How many refusals before this one were too many to be written down.
    unrecorded: int


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a session or an API token says of its user when it is shown."""

    id: str
    user_id: UserId
    username: str
    role: Role
    disabled: bool
    stamp: str
    must_change_password: bool
    totp: bool
    expires: float


_KNOWN = (
    users.c.id.label("user_id"),
    *(
        column
        for column in user_rows.COLUMNS
        if column.name in Known.__struct_fields__ and column.name != "id"
    ),
)


_SESSION = sa.select(sessions.c.id, sessions.c.expires, *_KNOWN).join(users, users.c.id == sessions.c.user_id)
_API_TOKEN = sa.select(api_tokens.c.id, api_tokens.c.expires, *_KNOWN).join(
    users, users.c.id == api_tokens.c.user_id
)


async def session_with(conn: Connection, token_hash: bytes) -> Known | None:
    """Find a session, with its user, by its token's hash."""
    return await _known(conn, _SESSION.where(sessions.c.token_hash == token_hash))


async def api_token_with(conn: Connection, token_hash: bytes) -> Known | None:
    """Find an API token, with its user, by its hash."""
    return await _known(conn, _API_TOKEN.where(api_tokens.c.token_hash == token_hash))


async def session_of(conn: Connection, session_id: str) -> Known | None:
    """Find a session, with its user, by its id."""
    return await _known(conn, _SESSION.where(sessions.c.id == session_id))


async def api_token_of(conn: Connection, token_id: str) -> Known | None:
    """Find an API token, with its user, by its id."""
    return await _known(conn, _API_TOKEN.where(api_tokens.c.id == token_id))


async def _known(conn: Connection, query: sa.Select[*tuple[object, ...]]) -> Known | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else as_struct(row, Known)


async def sessions_of(conn: Connection, user_id: str, *, now: float) -> list[SessionRow]:
    """List a user's open sessions, the newest first."""
    shown = [sessions.c[name] for name in SessionRow.__struct_fields__ if name != "username"]
    rows = await conn.execute(
        sa.select(*shown, users.c.username)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.user_id == user_id, sessions.c.expires > now)
        .order_by(sessions.c.created.desc(), sessions.c.id)
    )
    return [as_struct(row, SessionRow) for row in rows]


class OpenSessions:
    """Open sessions, and spend the codes that they were proved with."""

    name = "open sessions"
    rank = 20

    async def apply(self, tx: Transaction, items: Sequence[NewSession]) -> Sequence[Exception | None]:
        """Open each whose user is still the one that was checked; `Unauthenticated` for the others."""
        return await one_by_one(tx, items, self._open)

    async def _open(self, tx: Transaction, item: NewSession) -> None:
        stamp = (
            await tx.conn.execute(
                sa.select(users.c.stamp).where(users.c.id == item.user_id, users.c.disabled.is_(False))
            )
        ).scalar_one_or_none()
        if stamp != item.stamp:
            raise Unauthenticated("The user was changed just now; sign in again.")
        await spend(tx, item.user_id, item.proof)
        kept = ("id", "user_id", "token_hash", "expires", "address", "client")
        values = {name: getattr(item, name) for name in kept}
        await tx.conn.execute(sa.insert(sessions).values(**values, created=tx.now, last_used=tx.now))
        told: dict[str, object] = {"means": item.means, "client": item.client}
        if item.proof.recovery is not None:
            told["recovery_code"] = True
        tx.audit(item.by, "session.open", item.id, told)
        tx.event("session.opened", item.user_id, {})


async def spend(tx: Transaction, user_id: UserId, proof: Proof) -> None:
    """Use a code up. Raises Unauthenticated when it was used before or is nobody's."""
    if proof.step is not None:
        used = await tx.conn.execute(
            sa.update(second_factors)
            .where(second_factors.c.user_id == user_id, second_factors.c.last_step < proof.step)
            .values(last_step=proof.step)
        )
        if not used.rowcount:
            raise Unauthenticated("This code was used already; wait for the next one.")
    if proof.recovery is not None:
        used = await tx.conn.execute(
            sa.delete(recovery_codes).where(
                recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == proof.recovery
            )
        )
        if not used.rowcount:
            raise Unauthenticated("The code is wrong.")


class EndSessions:
    """End sessions: one's own, or those of users whom one may manage."""

    name = "end sessions"
    rank = 30

    async def apply(self, tx: Transaction, items: Sequence[Ending]) -> Sequence[UserId | Exception]:
        """End each and return whose it was; `NotFound` for one that is gone, `Forbidden` for others'."""
        return await one_by_one(tx, items, self._end)

    async def _end(self, tx: Transaction, item: Ending) -> UserId:
        row = (
            await tx.conn.execute(
                sa.select(users.c.id, users.c.username, users.c.role)
                .join(sessions, sessions.c.user_id == users.c.id)
                .where(sessions.c.id == item.session_id)
            )
        ).one_or_none()
        if row is None:
            raise NotFound("There is no such session.")
        if row.id != item.by.id:
            await user_rows.check_may_manage(tx, item.by, Role.ADMIN)
            await user_rows.check_may_manage(tx, item.by, Role(row.role))
        await tx.conn.execute(sa.delete(sessions).where(sessions.c.id == item.session_id))
        tx.audit(item.by, "session.end", item.session_id, {"user": row.username})
        tx.event("session.ended", row.id, {})
        return UserId(row.id)


class EndOtherSessions:
    """End all sessions of users but the ones they use."""

    name = "end other sessions"
    rank = 31

    async def apply(self, tx: Transaction, items: Sequence[EndingOthers]) -> Sequence[int]:
        """Return how many ended of each."""
        results: list[int] = []
        for item in items:
            others = sa.delete(sessions).where(sessions.c.user_id == item.user_id)
            if item.keep is not None:
                others = others.where(sessions.c.id != item.keep)
            ended = (await tx.conn.execute(others)).rowcount
            if ended:
                tx.audit(item.by, "session.end_others", item.user_id, {"ended": ended})
                tx.event("session.ended", item.user_id, {})
            results.append(ended)
        return results


class NoteRefusals:
    """Write failed sign-ins into the audit log."""

    name = "note refused sign-ins"
    rank = 32

    async def apply(self, tx: Transaction, items: Sequence[Refusal]) -> Sequence[None]:
        """Note them all."""
        for item in items:
            told: dict[str, object] = {"reason": item.reason}
            if item.unrecorded:
                told["unrecorded_before"] = item.unrecorded
            tx.audit(item.by, "session.refuse", item.by.id, told)
        return [None] * len(items)


class NoteUse:
    """Write down when sessions and API tokens were used last."""

    name = "note use of sessions and tokens"
    rank = 90

    async def apply(self, tx: Transaction, items: Sequence[dict[str, float]]) -> Sequence[None]:
        """Set the times; an id that is gone is fine."""
        for item in items:
            for table, prefix in ((sessions, "ses_"), (api_tokens, "tok_")):
                used = [{"used_id": id_, "used_at": at} for id_, at in item.items() if id_.startswith(prefix)]
                if used:
                    await tx.conn.execute(
                        sa.update(table)
                        .where(table.c.id == sa.bindparam("used_id"))
                        .values(last_used=sa.bindparam("used_at")),
                        used,
                    )
        return [None] * len(items)


OPEN_SESSIONS = OpenSessions()
END_SESSIONS = EndSessions()
END_OTHER_SESSIONS = EndOtherSessions()
NOTE_REFUSALS = NoteRefusals()
NOTE_USE = NoteUse()
