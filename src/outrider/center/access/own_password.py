"""The password of who asks: checked before what a stolen session must not do, and changed."""

from outrider.center.access import user_rows
from outrider.center.access.hashing import Hashing
from outrider.center.access.known import KnownCallers
from outrider.center.access.stamps import new_stamp
from outrider.center.access.throttle import Throttle
from outrider.center.access.user_rows import CHANGE_PASSWORDS, OwnPassword, User
from outrider.center.http.callers import Caller
from outrider.center.security.passwords import PasswordRefused
from outrider.center.store.engine import Store
from outrider.domain import password_rules
from outrider.domain.errors import Conflict, Forbidden


class WrongPassword(Forbidden):
    """The session counts; the password given with the request is not its user's."""

    code = "wrong_password"


class OwnPasswords:
    """Checks and changes people's own passwords."""

    def __init__(self, store: Store, hashing: Hashing, throttle: Throttle, known: KnownCallers) -> None:
        """Take the parts; wrong passwords count as tries to sign in."""
        self._store = store
        self._hashing = hashing
        self._throttle = throttle
        self._known = known

    async def check(self, caller: Caller, password: str) -> User:
        """Check that this is the caller's password; return the user it was checked of.

        Raises WrongPassword, Throttled, or Conflict for who has none.
        """
        async with self._store.read() as conn:
            user = await user_rows.user_with(conn, caller.user_id)
        if not user.password_hash:
            raise Conflict("You sign in with a provider and have no password here.")
        self._throttle.take(user.username, caller.address)
        if not await self._hashing.verify(password, user.password_hash):
            raise WrongPassword("This is not your password.")
        self._throttle.clear(user.username, caller.address)
        return user

    async def change(self, caller: Caller, current: str, new: str) -> None:
        """Change the caller's password; all their other sessions and their API tokens end.

        Raises what `check` does, or PasswordRefused.
        """
        user = await self.check(caller, current)
        refuse_weak(new, username=user.username)
        if new == current:
            raise PasswordRefused("The new password is the old one.", field="new")
        change = OwnPassword(
            user_id=user.id,
            password_hash=await self._hashing.hash(new),
            known=user.stamp,
            stamp=new_stamp(),
            keep=caller.session_id,
            by=caller.actor,
        )
        try:
            await self._store.writer.submit(CHANGE_PASSWORDS, change)
        finally:
            self._known.forget_user(user.id)


def refuse_weak(password: str, *, username: str) -> None:
    """Raise PasswordRefused for a password that is not taken."""
    reason = password_rules.reason_against(password, username=username)
    if reason is not None:
        raise PasswordRefused(reason, field="password")
