"""Enrolment keys: the statements that make, list, revoke and spend them."""

import hmac
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import agent_details, agents, enrolment_keys
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.errors import NotFound, Unauthenticated
from outrider.domain.ids import AgentId, KeyId


class ShortRow(msgspec.Struct, frozen=True, kw_only=True):
    """A short form as it is kept: a keyed hash of it, and its key's secret, sealed."""

    hash: bytes
    sealed: bytes


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be made. `uses` None means without limit; `expires` None means never."""

    id: KeyId
    secret_hash: bytes
    label: str
    tags: list[str]
    approve: bool
    uses: int | None
    expires: float | None
    by: Actor
    short: ShortRow | None = None


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be ended."""

    key_id: KeyId
    by: Actor


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept; the secret itself is not."""

    id: KeyId
    label: str
    tags: list[str]
    approve: bool
    uses: int | None
    used: int
    created: float
    created_by: str
    expires: float | None
    last_used: float | None
    revoked: bool


SHOWN = [enrolment_keys.c[name] for name in KeyRow.__struct_fields__]


async def list_keys(conn: Connection) -> list[KeyRow]:
    """List all keys, newest first."""
    rows = await conn.execute(
        sa.select(*SHOWN).order_by(enrolment_keys.c.created.desc(), enrolment_keys.c.id)
    )
    return [as_struct(row, KeyRow) for row in rows]


async def vouch(conn: Connection, key_id: str, secret_hash: bytes, *, now: float) -> KeyRow:
    """Find a key that lets hosts join at unix time `now`.

    Raises `Unauthenticated` when it is unknown, revoked, used up or too old; which of these is told,
    because only who holds the whole secret gets that far.
    """
    found = (
        await conn.execute(
            sa.select(*SHOWN, enrolment_keys.c.secret_hash).where(enrolment_keys.c.id == key_id)
        )
    ).one_or_none()
    if found is None or not hmac.compare_digest(bytes(found.secret_hash), secret_hash):
        raise Unauthenticated(
            "This enrolment key is not known here; make a new one with `outrider keys new`."
        )
    row = as_struct(found, KeyRow)
    end = end_of(row, now=now)
    if end:
        raise Unauthenticated(f"This enrolment key {end}; make a new one with `outrider keys new`.")
    return row


def end_of(row: KeyRow, *, now: float) -> str:
    """Say why hosts can't join with a key any more at unix time `now`; empty while they can."""
    if row.revoked:
        return "was revoked"
    if row.expires is not None and row.expires <= now:
        return "has expired"
    if row.uses is not None and row.used >= row.uses:
        return "is used up"
    return ""


async def joined_with(conn: Connection, key_id: str, secret_hash: bytes, *, now: float) -> dict[AgentId, str]:
    """List the agents that have joined with a key, and their addresses, also when it is used up by now.

    Empty for a key that is unknown, revoked or too old.
    """
    query = (
        sa.select(enrolment_keys.c.secret_hash, agents.c.id, agents.c.ip)
        .join(agent_details, agent_details.c.enrolment_key_id == enrolment_keys.c.id)
        .join(agents, agents.c.id == agent_details.c.agent_id)
        .where(
            enrolment_keys.c.id == key_id,
            sa.not_(enrolment_keys.c.revoked),
            sa.or_(enrolment_keys.c.expires.is_(None), enrolment_keys.c.expires > now),
        )
    )
    rows = await conn.execute(query)
    return {
        AgentId(row.id): row.ip for row in rows if hmac.compare_digest(bytes(row.secret_hash), secret_hash)
    }


async def spend(tx: Transaction, key_id: str, secret_hash: bytes) -> KeyRow:
    """Use a key once, inside the transaction that enrols. Raises as `vouch` does."""
    row = await vouch(tx.conn, key_id, secret_hash, now=tx.now)
    await tx.conn.execute(
        sa.update(enrolment_keys)
        .where(enrolment_keys.c.id == key_id)
        .values(used=enrolment_keys.c.used + 1, last_used=tx.now)
    )
    return row


class MakeKeys:
    """Make keys."""

    name = "make enrolment keys"
    rank = 10

    async def apply(self, tx: Transaction, items: Sequence[NewKey]) -> Sequence[KeyRow]:
        """Insert them all."""
        made = []
        for item in items:
            row = KeyRow(
                id=item.id,
                label=item.label,
                tags=item.tags,
                approve=item.approve,
                uses=item.uses,
                used=0,
                created=tx.now,
                created_by=item.by.name,
                expires=item.expires,
                last_used=None,
                revoked=False,
            )
            short = item.short
            await tx.conn.execute(
                sa.insert(enrolment_keys).values(
                    **msgspec.structs.asdict(row),
                    secret_hash=item.secret_hash,
                    short_hash=None if short is None else short.hash,
                    short_sealed=None if short is None else short.sealed,
                )
            )
            tx.event("enrolment_key.made", item.id, {"label": item.label, "by": item.by.name})
            made_with = {
                "label": item.label,
                "tags": item.tags,
                "approve": item.approve,
                "uses": item.uses,
                "expires": item.expires,
                "short": item.short is not None,
            }
            tx.audit(item.by, "enrolment_key.make", item.id, made_with)
            made.append(row)
        return made


class RevokeKeys:
    """Revoke keys by id."""

    name = "revoke enrolment keys"
    rank = 11

    async def apply(self, tx: Transaction, items: Sequence[Revocation]) -> Sequence[Exception | None]:
        """Mark those that exist; `NotFound` for the others."""
        results: list[Exception | None] = []
        for item in items:
            done = await tx.conn.execute(
                sa.update(enrolment_keys)
                .where(enrolment_keys.c.id == item.key_id)
                .values(revoked=True, short_hash=None, short_sealed=None)
            )
            if done.rowcount:
                tx.event("enrolment_key.revoked", item.key_id, {})
                tx.audit(item.by, "enrolment_key.revoke", item.key_id)
            results.append(None if done.rowcount else NotFound("There is no such enrolment key."))
        return results


MAKE_KEYS = MakeKeys()
REVOKE_KEYS = RevokeKeys()
