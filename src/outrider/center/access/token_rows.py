"""API tokens in the database: made, listed, deleted. Their text is not kept, only its hash."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.access import user_rows
from outrider.center.store.connection import Connection
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import api_tokens, users
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import Conflict, Forbidden, NotFound
from outrider.domain.ids import TokenId, UserId
from outrider.domain.roles import Role

MAX_PER_USER: Final = 100


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """An API token to be kept; it was signed for the user's stamp `stamp`."""

    id: TokenId
    user_id: UserId
    stamp: str
    token_hash: bytes
    name: str
    expires: float
    by: Actor


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API token as it is kept, with its user's name."""

    id: TokenId
    name: str
    user_id: UserId
    username: str
    created: float
    created_by: str
    expires: float
    last_used: float | None


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """An API token to be deleted."""

    token_id: str
    by: Actor


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A user whose API tokens all end; `stamp` is the new one."""

    user_id: UserId
    stamp: str
    by: Actor


async def tokens_of(conn: Connection, user_id: str) -> list[TokenRow]:
    """List a user's API tokens, the newest first."""
    shown = [api_tokens.c[name] for name in TokenRow.__struct_fields__ if name != "username"]
    rows = await conn.execute(
        sa.select(*shown, users.c.username)
        .join(users, users.c.id == api_tokens.c.user_id)
        .where(api_tokens.c.user_id == user_id)
        .order_by(api_tokens.c.created.desc(), api_tokens.c.id)
    )
    return [as_struct(row, TokenRow) for row in rows]


class MakeTokens:
    """Keep API tokens that were signed."""

    name = "make API tokens"
    rank = 40

    async def apply(self, tx: Transaction, items: Sequence[NewToken]) -> Sequence[TokenRow | Exception]:
        """Keep each whose user may have one; no super admin may (seed 001)."""
        return await one_by_one(tx, items, self._make)

    async def _make(self, tx: Transaction, item: NewToken) -> TokenRow:
        user = await user_rows.manageable(tx, item.by, item.user_id)
        if user.role is Role.SUPER_ADMIN:
            raise Forbidden("A super admin gets no API token; make a user of another role for scripts.")
        if user.disabled:
            raise Conflict("The user is disabled.")
        if user.stamp != item.stamp:
            raise Conflict("The user was changed just now; try again.")
        count = sa.select(sa.func.count()).where(api_tokens.c.user_id == user.id)
        if (await tx.conn.execute(count)).scalar_one() >= MAX_PER_USER:
            raise Conflict(f"The user has {MAX_PER_USER} API tokens; delete some first.")
        row = TokenRow(
            id=item.id,
            name=item.name,
            user_id=user.id,
            username=user.username,
            created=tx.now,
            created_by=item.by.name,
            expires=item.expires,
            last_used=None,
        )
        values = msgspec.structs.asdict(row)
        del values["username"]
        await tx.conn.execute(sa.insert(api_tokens).values(**values, token_hash=item.token_hash))
        told = {"name": item.name, "user": user.username, "expires": item.expires}
        tx.audit(item.by, "token.make", item.id, told)
        tx.event("token.made", user.id, {"name": item.name})
        return row


class DeleteTokens:
    """Delete API tokens: one's own, or those of users whom one may manage."""

    name = "delete API tokens"
    rank = 41

    async def apply(self, tx: Transaction, items: Sequence[Deletion]) -> Sequence[Exception | None]:
        """Delete them one by one."""
        return await one_by_one(tx, items, self._delete)

    async def _delete(self, tx: Transaction, item: Deletion) -> None:
        row = (
            await tx.conn.execute(
                sa.select(users.c.id, users.c.username, users.c.role, api_tokens.c.name)
                .join(api_tokens, api_tokens.c.user_id == users.c.id)
                .where(api_tokens.c.id == item.token_id)
            )
        ).one_or_none()
        if row is None:
            raise NotFound("There is no such API token.")
        if row.id != item.by.id:
            await user_rows.check_may_manage(tx, item.by, Role(row.role))
        await tx.conn.execute(sa.delete(api_tokens).where(api_tokens.c.id == item.token_id))
        tx.audit(item.by, "token.delete", item.token_id, {"name": row.name, "user": row.username})
        tx.event("token.revoked", row.id, {"name": row.name})


class RevokeTokens:
    """End all API tokens of users, by a new stamp."""

    name = "revoke API tokens"
    rank = 42

    async def apply(self, tx: Transaction, items: Sequence[Revocation]) -> Sequence[int | Exception]:
        """Return how many ended of each."""
        return await one_by_one(tx, items, self._revoke)

    async def _revoke(self, tx: Transaction, item: Revocation) -> int:
        user = await user_rows.manageable(tx, item.by, item.user_id)
        ended = await tx.conn.execute(sa.delete(api_tokens).where(api_tokens.c.user_id == user.id))
        await tx.conn.execute(sa.update(users).where(users.c.id == user.id).values(stamp=item.stamp))
        tx.audit(item.by, "token.revoke_all", user.id, {"user": user.username, "ended": ended.rowcount})
        tx.event("token.revoked", user.id, {})
        return ended.rowcount


MAKE_TOKENS = MakeTokens()
DELETE_TOKENS = DeleteTokens()
REVOKE_TOKENS = RevokeTokens()
