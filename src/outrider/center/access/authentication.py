"""Who shows a token: a session's, an API token, or a stream's one-use token."""

import hashlib
from typing import Final

from outrider.center.access import session_rows
from outrider.center.access.known import KnownCallers
from outrider.center.access.session_rows import NOTE_USE, Known
from outrider.center.access.signing import Signing, looks_signed
from outrider.center.access.stream_tokens import StreamToken, StreamTokens, is_stream_token
from outrider.center.http.callers import Caller
from outrider.center.security.sealing import SealBroken
from outrider.center.store.engine import Store
from outrider.domain.errors import Unauthenticated, Unavailable
from outrider.domain.ids import SessionId, TokenId
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready, StopAll

log = logs.get(__name__)

NOTED_EVERY: Final = 60.0
"""Seconds between writes of when sessions and API tokens were used; a killed center forgets the last ones."""


class Authentication:
    """Recognises callers. A service: it loads the secret of API tokens, then notes what is used.

    It stops the center when the secret was sealed under another master key.

    An answer is remembered for a few seconds. What this process ends or changes is forgotten at once; what
    another replica does takes those seconds to tell.
    """

    name = "authentication"

    def __init__(
        self, store: Store, clock: Clock, signing: Signing, known: KnownCallers, stream_tokens: StreamTokens
    ) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._signing = signing
        self._known = known
        self._stream_tokens = stream_tokens
        self._used: dict[str, float] = {}

    async def serve(self, ready: Ready) -> None:
        """Load the secret, then write down once a minute what was used."""
        try:
            await self._signing.load()
        except SealBroken as error:
            raise StopAll(error.detail) from error
        ready()
        while True:
            await self._clock.sleep(NOTED_EVERY)
            await self.note_use()

    async def note_use(self) -> None:
        """Write down what was used since the last time; what can't be written now is written next time."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.writer.submit(NOTE_USE, used)
        except Unavailable as error:
            log.warning("when sessions were used could not be noted", reason=error.detail)
            self._used = used | self._used

    async def authenticate(self, token: str) -> Caller:
        """Find who a session's token or an API token belongs to. Raises Unauthenticated."""
        digest = _hash(token)
        caller = self._known.find(digest)
        if caller is None:
            caller = await self._look_up(digest, token)
        self._used[caller.via] = self._clock.time()
        return caller

    async def confirm(self, caller: Caller) -> None:
        """Check that what a caller came in with still counts, for the same role. Raises Unauthenticated."""
        async with self._store.read() as conn:
            found = await (
                session_rows.session_of(conn, caller.via)
                if caller.session_id
                else session_rows.api_token_of(conn, caller.via)
            )
        if (
            found is None
            or found.disabled
            or found.expires <= self._clock.time()
            or found.role is not caller.role
        ):
            raise Unauthenticated("The session is not valid or has ended; sign in again.")

    async def authenticate_stream(self, token: str, path: str) -> Caller:
        """Find who a token in the address of the stream at `path` belongs to. Raises Unauthenticated.

        A session's token and a one-use token are taken; an API token is not: addresses end up in logs, and
        it would work for years.
        """
        if looks_signed(token):
            raise Unauthenticated(
                "An API token does not go into an address; ask POST /api/stream-token for one."
            )
        if not is_stream_token(token):
            return await self.authenticate(token)
        parent = self._stream_tokens.spend(token, path)
        # The session or API token it came from must still count.
        return await self.authenticate(parent)

    def make_stream_token(self, parent: str, path: str | None) -> StreamToken:
        """Make a one-use token for who came in with the token `parent`; that has to count when it is used.

        With a `path` it opens the stream there and no other.
        """
        return self._stream_tokens.make(parent, path)

    async def _look_up(self, digest: bytes, token: str) -> Caller:
        read_at = self._known.forgotten
        caller = await (self._api_token(digest, token) if looks_signed(token) else self._session(digest))
        self._known.remember(digest, caller, read_at=read_at)
        return caller

    async def _session(self, digest: bytes) -> Caller:
        async with self._store.read() as conn:
            found = await session_rows.session_with(conn, digest)
        if found is None or found.disabled or found.expires <= self._clock.time():
            raise Unauthenticated("The session is not valid or has ended; sign in again.")
        return _caller(found, session_id=SessionId(found.id), must_change=found.must_change_password)

    async def _api_token(self, digest: bytes, token: str) -> Caller:
        now = self._clock.time()
        claims = self._signing.read(token, now=now)
        async with self._store.read() as conn:
            found = await session_rows.api_token_with(conn, digest)
        if (
            found is None
            or found.disabled
            or found.expires <= now
            or (claims.jti, claims.nameidentifier, claims.stamp) != (found.id, found.user_id, found.stamp)
        ):
            raise Unauthenticated(
                "The API token was revoked or has ended; ask an administrator for a new one."
            )
        return _caller(found, token_id=TokenId(found.id))


def _caller(
    found: Known,
    *,
    session_id: SessionId | None = None,
    token_id: TokenId | None = None,
    must_change: bool = False,
) -> Caller:
    return Caller(
        user_id=found.user_id,
        username=found.username,
        role=found.role,
        session_id=session_id,
        token_id=token_id,
        expires=found.expires,
        must_change_password=must_change,
        totp=found.totp,
    )


def _hash(token: str) -> bytes:
    """Hash a token: it is 256 random bits, or signed, so a plain fast hash hides it well enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
