"""Signing in: passwords, the throttle before them, and the sessions behind the tokens."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from typing import Final

import msgspec

from outrider.center.access import store as rows
from outrider.center.http.callers import Caller
from outrider.center.security import passwords
from outrider.center.store.engine import Store
from outrider.domain.errors import Throttled, Unauthenticated
from outrider.domain.ids import SessionId, new_session_id, new_user_id
from outrider.domain.roles import Role
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.ratelimit import KeyedLimiter

log = logs.get(__name__)

FIRST_USER: Final = "admin"
_TRIES: Final = 10
_PER_SECOND: Final = 1 / 6
"""Ten tries at once, then ten a minute, for each address and each name from there; success clears it."""
TRIES_EVERYWHERE: Final = 100
_PER_SECOND_EVERYWHERE: Final = 0.5
_CACHED_FOR: Final = 5.0
_CACHE_SIZE: Final = 4096
_HASHERS: Final = 2
"""Argon2 takes tens of megabytes and milliseconds by design: few run at once, the others wait."""


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session's token, told once."""

    token: str
    caller: Caller


class AccessService:
    """Who may come in."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        session_seconds: float,
        tries_everywhere: int = TRIES_EVERYWHERE,
    ) -> None:
        """Take the store; `session_seconds` is how long a sign-in lasts.

        `tries_everywhere` wrong tries at one name, from whatever addresses, are taken at once.
        """
        self._store = store
        self._clock = clock
        self._session_seconds = session_seconds
        # A name is held up only from where it was tried; from everywhere at once, only by many tries:
        # nobody keeps another out by guessing at his name.
        self._by_pair: KeyedLimiter[str] = KeyedLimiter(_PER_SECOND, _TRIES, clock, max_keys=10_000)
        self._by_address: KeyedLimiter[str] = KeyedLimiter(_PER_SECOND, _TRIES, clock, max_keys=10_000)
        self._by_name: KeyedLimiter[str] = KeyedLimiter(
            _PER_SECOND_EVERYWHERE, tries_everywhere, clock, max_keys=10_000
        )
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._hashing = asyncio.Semaphore(_HASHERS)

    async def begin(self, password: str | None) -> str | None:
        """Add the first user when there is none.

        Returns the password that was made for it, to be shown once; None when one was given or
        the user was there.
        """
        async with self._store.read() as conn:
            if await rows.count_users(conn):
                return None
        chosen = password or secrets.token_urlsafe(15)
        user = rows.NewUser(
            id=new_user_id(self._clock.time()),
            username=FIRST_USER,
            password_hash=await asyncio.to_thread(passwords.hash_password, chosen),
            role=Role.SUPER_ADMIN,
            stamp=secrets.token_hex(16),
        )
        await self._store.writer.submit(rows.ADD_USERS, user)
        return None if password else chosen

    async def login(self, username: str, password: str, *, address: str, client: str) -> SignedIn:
        """Open a session. Raises `Throttled`, or `Unauthenticated` without saying what was wrong."""
        name = username.strip().lower()
        pair = f"{address} {name}"
        for limiter, key in ((self._by_pair, pair), (self._by_address, address), (self._by_name, name)):
            self._throttle(limiter, key)
        async with self._store.read() as conn:
            user = await rows.user_called(conn, name)
        async with self._hashing:
            right = await asyncio.to_thread(
                passwords.verify_password, password, user.password_hash if user else None
            )
        if user is None or not right or user.disabled:
            log.warning("sign-in refused", username=name, address=address)
            raise Unauthenticated("The user name or the password is wrong.")
        for limiter, key in ((self._by_pair, pair), (self._by_address, address), (self._by_name, name)):
            limiter.forget(key)
        return await self._open(user, address=address, client=client)

    def _throttle(self, limiter: KeyedLimiter[str], key: str) -> None:
        if not limiter.try_take(key):
            wait = limiter.retry_after(key)
            raise Throttled(f"Too many tries to sign in; try again in {wait:.0f} s.", retry_after=wait)

    async def _open(self, user: rows.User, *, address: str, client: str) -> SignedIn:
        now = self._clock.time()
        token = secrets.token_urlsafe(32)
        session = rows.NewSession(
            id=new_session_id(now),
            user_id=user.id,
            token_hash=_hash(token),
            expires=now + self._session_seconds,
            address=address[:64],
            client=client[:200],
        )
        await self._store.writer.submit(rows.OPEN_SESSIONS, session)
        caller = Caller(
            user_id=user.id,
            username=user.username,
            role=user.role,
            session_id=session.id,
            expires=session.expires,
        )
        return SignedIn(token=token, caller=caller)

    async def authenticate(self, token: str) -> Caller:
        """Find who a token belongs to. Raises `Unauthenticated`.

        An answer is remembered for a few seconds: ending a session elsewhere takes at most that long to tell.
        """
        digest = _hash(token)
        known = self._known.get(digest)
        if known is not None and self._clock.monotonic() < known[0] and self._clock.time() < known[1].expires:
            return known[1]
        async with self._store.read() as conn:
            session = await rows.session_with(conn, digest)
        if session is None or session.disabled or session.expires <= self._clock.time():
            self._known.pop(digest, None)
            raise Unauthenticated("The session is not valid or has ended; sign in again.")
        caller = Caller(
            user_id=session.user_id,
            username=session.username,
            role=session.role,
            session_id=session.id,
            expires=session.expires,
        )
        self._remember(digest, caller)
        return caller

    def _remember(self, digest: bytes, caller: Caller) -> None:
        self._known[digest] = (self._clock.monotonic() + _CACHED_FOR, caller)
        self._known.move_to_end(digest)
        while len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)

    async def logout(self, session_id: SessionId) -> None:
        """End a session at once."""
        await self._store.writer.submit(rows.END_SESSIONS, session_id)
        for digest in [
            digest for digest, (_, caller) in self._known.items() if caller.session_id == session_id
        ]:
            del self._known[digest]


def _hash(token: str) -> bytes:
    """Hash a session token: it is 256 random bits, so a plain fast hash hides it well enough."""
    return hashlib.sha256(token.encode()).digest()
