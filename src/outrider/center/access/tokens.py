"""API tokens for scripts (contract 001): made by administrators, told once, revoked at any time."""

import hashlib
from typing import Final

import msgspec

from outrider.center.access import token_rows, user_rows
from outrider.center.access.known import KnownCallers
from outrider.center.access.sessions import whose
from outrider.center.access.signing import Claims, Signing
from outrider.center.access.stamps import new_stamp
from outrider.center.access.token_rows import (
    DELETE_TOKENS,
    MAKE_TOKENS,
    REVOKE_TOKENS,
    Deletion,
    NewToken,
    Revocation,
    TokenRow,
)
from outrider.center.http.callers import Caller
from outrider.center.store.engine import Store
from outrider.domain.errors import Forbidden, Invalid, NotFound
from outrider.domain.ids import UserId, new_token_id
from outrider.domain.roles import Role
from outrider.kit.clock import Clock

LASTS: Final = 3653 * 86_400
"""Ten years: a token without an end date ends then, so that each has the `exp` that the contract names."""


class MadeToken(TokenRow, frozen=True, kw_only=True):
    """An API token with its text, told once."""

    token: str


class ApiTokens:
    """Makes, lists and ends API tokens."""

    def __init__(self, store: Store, clock: Clock, signing: Signing, known: KnownCallers) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._signing = signing
        self._known = known

    async def of(self, user_id: str | None, caller: Caller) -> list[TokenRow]:
        """List the API tokens of a user, of the caller without one. Raises Forbidden or NotFound."""
        async with self._store.read() as conn:
            return await token_rows.tokens_of(conn, await whose(conn, user_id, caller))

    async def make(self, name: str, user_id: str | None, expires: int | None, caller: Caller) -> MadeToken:
        """Make an API token of a user, of the caller without one; it has the user's role at any time.

        `expires` is unix time; without it the token ends in ten years. Raises NotFound, Invalid, Conflict, or
        Forbidden for a super admin's.
        """
        now = self._clock.time()
        until = int(now) + LASTS if expires is None else expires
        if until <= now:
            raise Invalid("`expires` must be unix time in the future.", field="expires")
        async with self._store.read() as conn:
            user = await user_rows.user_with(conn, user_id or caller.user_id)
        token_id = new_token_id(now)
        token = self._signing.sign(
            Claims(jti=token_id, nameidentifier=user.id, stamp=user.stamp, nbf=int(now), exp=until)
        )
        row = await self._store.writer.submit(
            MAKE_TOKENS,
            NewToken(
                id=token_id,
                user_id=user.id,
                stamp=user.stamp,
                token_hash=hashlib.sha256(token.encode()).digest(),
                name=name,
                expires=float(until),
                by=caller.actor,
            ),
        )
        return MadeToken(**msgspec.structs.asdict(row), token=token)

    async def delete(self, token_id: str, caller: Caller) -> None:
        """End an API token. Raises NotFound, also for one that is none of the caller's business."""
        try:
            await self._store.writer.submit(DELETE_TOKENS, Deletion(token_id=token_id, by=caller.actor))
        except Forbidden:
            if caller.role.covers(Role.ADMIN):
                raise
            raise NotFound("There is no such API token.") from None
        finally:
            self._known.forget_via(token_id)

    async def revoke_all(self, user_id: str, caller: Caller) -> int:
        """End all API tokens of a user at once; return how many there were. Raises NotFound or Forbidden."""
        revocation = Revocation(user_id=UserId(user_id), stamp=new_stamp(), by=caller.actor)
        try:
            return await self._store.writer.submit(REVOKE_TOKENS, revocation)
        finally:
            self._known.forget_user(user_id)
