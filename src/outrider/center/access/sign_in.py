"""Signing in: passwords and second factors, the throttle before them, and the session that opens."""

import hashlib
import secrets
from typing import Final

import msgspec

from outrider.center.access import user_rows
from outrider.center.access.hashing import Hashing
from outrider.center.access.second_factor import SecondFactors
from outrider.center.access.session_rows import NOTE_REFUSALS, OPEN_SESSIONS, NewSession, Proof, Refusal
from outrider.center.access.stamps import new_stamp
from outrider.center.access.throttle import Throttle
from outrider.center.access.user_rows import ADD_USERS, NewUser, User
from outrider.center.http.callers import Caller
from outrider.center.store.engine import Store
from outrider.domain import usernames
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.errors import Unauthenticated
from outrider.domain.ids import new_session_id, new_user_id
from outrider.domain.roles import Role
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.ratelimit import TokenBucket

log = logs.get(__name__)

FIRST_USER: Final = "admin"
_MAX_ADDRESS: Final = 64
_MAX_CLIENT: Final = 200
_REFUSALS_PER_SECOND: Final = 1.0
_REFUSALS_AT_ONCE: Final = 300
"""Whoever has many addresses must not fill the audit log: beyond this, refusals are only counted."""


class SecondFactorRequired(Unauthenticated):
    """The password is right; the code of the second factor is missing."""

    code = "second_factor_required"


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session's token, told once."""

    token: str
    caller: Caller


class SignIn:
    """Opens sessions for those who can prove who they are."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hashing: Hashing,
        throttle: Throttle,
        factors: SecondFactors,
        *,
        session_seconds: float,
    ) -> None:
        """Take the parts; `session_seconds` is how long a sign-in lasts."""
        self._store = store
        self._clock = clock
        self._hashing = hashing
        self._throttle = throttle
        self._factors = factors
        self._session_seconds = session_seconds
        self._recorded = TokenBucket(_REFUSALS_PER_SECOND, _REFUSALS_AT_ONCE, clock)
        self._unrecorded = 0

    async def begin(self, password: str | None) -> str | None:
        """Add the first user when there is none.

        Returns the password that was made for it, to be shown once; None when one was given or
        the user was there.
        """
        async with self._store.read() as conn:
            if await user_rows.count_users(conn):
                return None
        chosen = password or secrets.token_urlsafe(15)
        user = NewUser(
            id=new_user_id(self._clock.time()),
            username=FIRST_USER,
            password_hash=await self._hashing.hash(chosen),
            role=Role.SUPER_ADMIN,
            stamp=new_stamp(),
        )
        await self._store.writer.submit(ADD_USERS, user)
        return None if password else chosen

    async def login(
        self, username: str, password: str, *, code: str | None = None, address: str, client: str
    ) -> SignedIn:
        """Open a session.

        Raises Throttled, SecondFactorRequired when the password is right and the code missing, else
        Unauthenticated without saying what was wrong.
        """
        name = usernames.normal(username)
        self._throttle.take(name, address)
        async with self._store.read() as conn:
            user = await user_rows.user_called(conn, name)
        right = await self._hashing.verify(password, user.password_hash if user else None)
        if user is None or not right or user.disabled:
            await self.refuse(user, address, "password")
            raise Unauthenticated("The user name or the password is wrong.")
        if not user.totp:
            signed_in = await self.open(user, address=address, client=client)
        elif not code:
            raise SecondFactorRequired("Give the code of the second factor as `code`, too.")
        else:
            signed_in = await self._open_with_code(user, code, address=address, client=client)
        self._throttle.clear(name, address)
        return signed_in

    async def _open_with_code(self, user: User, code: str, *, address: str, client: str) -> SignedIn:
        self._throttle.take_code(user.id)
        try:
            proof = await self._factors.prove(user.id, code)
            signed_in = await self.open(user, address=address, client=client, proof=proof)
        except Unauthenticated:
            await self.refuse(user, address, "code")
            raise
        self._throttle.clear_codes(user.id)
        return signed_in

    async def open(
        self, user: User, *, address: str, client: str, means: str = "password", proof: Proof | None = None
    ) -> SignedIn:
        """Open a session for a user who has proved who they are. Raises Unauthenticated."""
        now = self._clock.time()
        token = secrets.token_urlsafe(32)
        session_id = new_session_id(now)
        caller = Caller(
            user_id=user.id,
            username=user.username,
            role=user.role,
            session_id=session_id,
            expires=now + self._session_seconds,
            must_change_password=user.must_change_password,
            totp=user.totp,
            address=address,
        )
        session = NewSession(
            id=session_id,
            user_id=user.id,
            stamp=user.stamp,
            token_hash=hashlib.sha256(token.encode()).digest(),
            expires=caller.expires,
            address=address[:_MAX_ADDRESS],
            client=client[:_MAX_CLIENT].replace("\0", ""),
            by=caller.actor,
            means=means,
            proof=proof or Proof(),
        )
        await self._store.writer.submit(OPEN_SESSIONS, session)
        return SignedIn(token=token, caller=caller)

    async def refuse(self, user: User | None, address: str, reason: str) -> None:
        """Write a failed sign-in down. A name that is nobody's is not: people type passwords there."""
        log.warning("sign-in refused", user_id=user.id if user else "", address=address, reason=reason)
        if not self._recorded.try_take():
            self._unrecorded += 1
            return
        unrecorded, self._unrecorded = self._unrecorded, 0
        by = Actor(
            kind=ActorKind.USER,
            id=user.id if user else "",
            name=user.username if user else "",
            address=address,
        )
        await self._store.writer.submit(NOTE_REFUSALS, Refusal(by=by, reason=reason, unrecorded=unrecorded))
