"""The secret behind API tokens, and the tokens' text: HS256 JWTs with the claims of contract 001."""

import base64
import secrets
from collections.abc import Sequence
from typing import Final

import jwt
import msgspec
import sqlalchemy as sa

from outrider.center.security.sealing import Sealer
from outrider.center.standing import fact
from outrider.center.store.engine import Store
from outrider.center.store.schema import meta
from outrider.center.store.writer import Transaction
from outrider.domain.errors import Unauthenticated

ISSUER: Final = "outrider"
AUDIENCE: Final = "outrider-api"
_ALGORITHM: Final = "HS256"
_KEY: Final = "api_token_secret"
_CONTEXT: Final = "secret of API tokens"
_SECRET_BYTES: Final = 32
_MAX_TEXT: Final = 2048


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What an API token says; the names are the contract's."""

    #: The token's own id.
    jti: str
    #: The id of its user.
    nameidentifier: str
    #: The user's security stamp when it was made.
    stamp: str = msgspec.field(name="Stamp")
    #: Unix seconds from when and until when it counts.
    nbf: int
    exp: int


class _KeepFirst:
    """Keep a fact that is not there yet; return the one that is kept."""

    name = "keep the secret of API tokens"
    rank = 2

    async def apply(self, tx: Transaction, items: Sequence[str]) -> Sequence[str]:
        """Two centers that start at the same time end with one secret."""
        results: list[str] = []
        for item in items:
            kept = await fact(tx.conn, _KEY)
            if kept is None:
                await tx.conn.execute(sa.insert(meta).values(key=_KEY, value=item))
            results.append(kept or item)
        return results


_KEEP_FIRST: Final = _KeepFirst()


class Signing:
    """Signs API tokens and reads them back. The secret is made once, and kept sealed in the database."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        """Take the store; `load` has to come before anything else."""
        self._store = store
        self._sealer = sealer
        self._secret = b""

    async def load(self) -> None:
        """Read the secret, or make it. Raises SealBroken under another master key, saying what to do."""
        async with self._store.read() as conn:
            kept = await fact(conn, _KEY)
        if kept is None:
            kept = await self._store.writer.submit(
                _KEEP_FIRST, self._sealed(secrets.token_bytes(_SECRET_BYTES))
            )
        self._secret = self._sealer.unseal(base64.b64decode(kept), context=_CONTEXT)

    def _sealed(self, secret: bytes) -> str:
        return base64.b64encode(self._sealer.seal(secret, context=_CONTEXT)).decode()

    def sign(self, claims: Claims) -> str:
        """Write a token."""
        said = {**msgspec.to_builtins(claims), "iss": ISSUER, "aud": AUDIENCE}
        return jwt.encode(said, self._secret, algorithm=_ALGORITHM)

    def read(self, text: str, *, now: float) -> Claims:
        """Read a token. Raises Unauthenticated unless it is of this center, unchanged, and counts now.

        Whether it was revoked, the database knows.
        """
        if len(text) > _MAX_TEXT:
            raise _not_valid()
        try:
            said = jwt.decode(
                text,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # The times are checked below, by the center's clock.
                options={
                    "require": ["exp", "nbf", "iss", "aud", "jti"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            claims = msgspec.convert(said, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise _not_valid() from error
        if not claims.nbf <= now < claims.exp:
            raise _not_valid()
        return claims


def looks_signed(token: str) -> bool:
    """Tell whether a token has the three parts of a JWT; no session's token has."""
    return token.count(".") == 2  # noqa: PLR2004 (dots between three parts)


def _not_valid() -> Unauthenticated:
    return Unauthenticated(
        "The API token is not valid here, or has ended; ask an administrator for a new one."
    )
