"""The second factor: codes by time (RFC 6238) from an app, and recovery codes for when it is lost."""

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.access import user_rows
from outrider.center.access.known import KnownCallers
from outrider.center.access.own_password import OwnPasswords
from outrider.center.access.session_rows import Proof
from outrider.center.http.callers import Caller
from outrider.center.security.sealing import Sealer
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.schema import recovery_codes, second_factors
from outrider.center.store.writer import Transaction
from outrider.domain import recovery_codes as codes
from outrider.domain import totp
from outrider.domain.actors import Actor
from outrider.domain.errors import Conflict, Invalid, Unauthenticated
from outrider.domain.ids import UserId
from outrider.kit.clock import Clock

APP_NAME: Final = "Outrider"


class Pending(msgspec.Struct, frozen=True):
    """A secret that is shown, to be confirmed with a first code."""

    secret: str
    #: The same for a QR code.
    uri: str


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    secret: bytes | None
    pending: bytes | None
    last_step: int


class _Beginning(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UserId
    pending: bytes
    by: Actor


class _Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UserId
    pending: bytes
    step: int
    code_hashes: Sequence[bytes]
    by: Actor


class _Ending(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UserId
    by: Actor


class SecondFactors:
    """Checks codes for those who sign in, and lets people set their second factor up."""

    def __init__(
        self, store: Store, clock: Clock, sealer: Sealer, passwords: OwnPasswords, known: KnownCallers
    ) -> None:
        """Take the parts; secrets are kept sealed."""
        self._store = store
        self._clock = clock
        self._sealer = sealer
        self._passwords = passwords
        self._known = known

    async def prove(self, user_id: UserId, code: str) -> Proof:
        """Say what `code` proves, to be spent as the session opens. Raises Unauthenticated.

        Of a recovery code only the hash is made here: whether it is one is found as it is spent.
        """
        text = "".join(code.split())
        if len(text) != totp.DIGITS:
            return Proof(recovery=codes.hash_of(text, user_id=user_id))
        row = await self._row(user_id)
        if row is None or row.secret is None:
            raise Unauthenticated("The code is wrong.")
        return Proof(step=self._step_of(row.secret, text, user_id=user_id, after=row.last_step))

    def _step_of(self, sealed: bytes, code: str, *, user_id: UserId, after: int) -> int:
        secret = self._sealer.unseal(sealed, context=_context(user_id))
        step = totp.matching_step(secret, code, now=self._clock.time(), after=after)
        if step is None:
            raise Unauthenticated("The code is wrong, or was used already.")
        return step

    async def begin(self, caller: Caller, password: str) -> Pending:
        """Make a secret for the caller's app. It is asked for only once it is confirmed.

        Raises WrongPassword or Throttled.
        """
        await self._passwords.check(caller, password)
        secret = secrets.token_bytes(totp.SECRET_BYTES)
        sealed = self._sealer.seal(secret, context=_context(caller.user_id))
        await self._store.writer.submit(
            _BEGIN, _Beginning(user_id=caller.user_id, pending=sealed, by=caller.actor)
        )
        return Pending(totp.text_of(secret), totp.uri_of(secret, username=caller.username, issuer=APP_NAME))

    async def confirm(self, caller: Caller, code: str) -> list[str]:
        """Ask for codes of the shown secret from now on; return the recovery codes, told once.

        Raises Conflict when no secret was shown, Invalid when the code is not one of it.
        """
        row = await self._row(caller.user_id)
        if row is None or row.pending is None:
            raise Conflict("Ask for a secret first: POST /api/totp.")
        try:
            step = self._step_of(row.pending, "".join(code.split()), user_id=caller.user_id, after=-1)
        except Unauthenticated:
            raise Invalid("The code does not fit; is the clock of the phone right?", field="code") from None
        made = [codes.make() for _ in range(codes.COUNT)]
        await self._store.writer.submit(
            _CONFIRM,
            _Confirmation(
                user_id=caller.user_id,
                pending=row.pending,
                step=step,
                code_hashes=[codes.hash_of(each, user_id=caller.user_id) for each in made],
                by=caller.actor,
            ),
        )
        self._known.forget_user(caller.user_id)
        return made

    async def end(self, caller: Caller, password: str) -> None:
        """Ask the caller for no codes any more. Raises WrongPassword or Throttled."""
        await self._passwords.check(caller, password)
        await self._store.writer.submit(_END, _Ending(user_id=caller.user_id, by=caller.actor))
        self._known.forget_user(caller.user_id)

    async def _row(self, user_id: str) -> _Row | None:
        async with self._store.read() as conn:
            return await _row_of(conn, user_id)


async def _row_of(conn: Connection, user_id: str) -> _Row | None:
    row = (
        await conn.execute(
            sa.select(second_factors.c.secret, second_factors.c.pending, second_factors.c.last_step).where(
                second_factors.c.user_id == user_id
            )
        )
    ).one_or_none()
    return None if row is None else _Row(secret=row.secret, pending=row.pending, last_step=row.last_step)


def _context(user_id: str) -> str:
    return f"second factor of {user_id}"


class _Begin:
    """Keep secrets that wait to be confirmed."""

    name = "begin second factors"
    rank = 50

    async def apply(self, tx: Transaction, items: Sequence[_Beginning]) -> Sequence[None]:
        """Put each in the place of an older one that waits."""
        for item in items:
            if await _row_of(tx.conn, item.user_id) is None:
                await tx.conn.execute(
                    sa.insert(second_factors).values(user_id=item.user_id, pending=item.pending, last_step=-1)
                )
            else:
                await tx.conn.execute(
                    sa.update(second_factors)
                    .where(second_factors.c.user_id == item.user_id)
                    .values(pending=item.pending)
                )
            tx.audit(item.by, "totp.begin", item.user_id)
        return [None] * len(items)


class _Confirm:
    """Put secrets to use, with new recovery codes."""

    name = "confirm second factors"
    rank = 51

    async def apply(self, tx: Transaction, items: Sequence[_Confirmation]) -> Sequence[Exception | None]:
        """Confirm each whose secret is still the one that was shown."""
        results: list[Exception | None] = []
        for item in items:
            row = await _row_of(tx.conn, item.user_id)
            if row is None or row.pending != item.pending:
                results.append(Conflict("Another secret was asked for meanwhile; confirm that one."))
                continue
            await user_rows.forget_second_factor(tx, item.user_id)
            await tx.conn.execute(
                sa.insert(second_factors).values(
                    user_id=item.user_id, secret=item.pending, last_step=item.step
                )
            )
            await tx.conn.execute(
                sa.insert(recovery_codes),
                [{"user_id": item.user_id, "code_hash": each} for each in item.code_hashes],
            )
            tx.audit(item.by, "totp.confirm", item.user_id)
            tx.event("user.changed", item.user_id, {"totp": True})
            results.append(None)
        return results


class _End:
    """Remove users' own second factors."""

    name = "end second factors"
    rank = 52

    async def apply(self, tx: Transaction, items: Sequence[_Ending]) -> Sequence[None]:
        """Remove them all; one that is not there is fine."""
        for item in items:
            await user_rows.forget_second_factor(tx, item.user_id)
            tx.audit(item.by, "totp.end", item.user_id)
            tx.event("user.changed", item.user_id, {"totp": False})
        return [None] * len(items)


_BEGIN: Final = _Begin()
_CONFIRM: Final = _Confirm()
_END: Final = _End()
