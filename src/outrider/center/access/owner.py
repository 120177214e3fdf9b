"""What the owner of the center's machine may do for somebody who can't sign in any more."""

import asyncio
import secrets

import msgspec

from outrider.center.access import user_rows
from outrider.center.access.stamps import new_stamp
from outrider.center.security import passwords
from outrider.center.store.engine import Store
from outrider.domain import password_rules, usernames
from outrider.domain.actors import Actor
from outrider.domain.errors import Invalid, NotFound


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """How a user may sign in again. `password` is told once; `totp` is still asked for when it is true."""

    username: str
    password: str
    totp: bool


async def open_account(
    store: Store, username: str, *, password: str | None, remove_totp: bool, by: Actor
) -> Opened:
    """Give a user a password that has to be changed, made here unless given, and let them sign in.

    Their sessions and API tokens end. Raises NotFound, or Invalid for a password that is too weak.
    """
    name = usernames.normal(username)
    async with store.read() as conn:
        user = await user_rows.user_called(conn, name)
    if user is None:
        raise NotFound(f"There is no user {username[:100]!r}.", username=username[:100])
    chosen = secrets.token_urlsafe(15) if password is None else password
    reason = password_rules.reason_against(chosen, username=name)
    if reason is not None:
        raise Invalid(reason, field="password")
    hashed = await asyncio.to_thread(passwords.hash_password, chosen)
    if user.disabled:
        change = user_rows.Change(user_id=user.id, stamp=new_stamp(), by=by, disabled=False)
        await store.writer.submit(user_rows.CHANGE_USERS, change)
    if remove_totp and user.totp:
        removal = user_rows.Removal(user_id=user.id, by=by)
        await store.writer.submit(user_rows.REMOVE_SECOND_FACTORS, removal)
    reset = user_rows.Reset(user_id=user.id, password_hash=hashed, stamp=new_stamp(), by=by)
    await store.writer.submit(user_rows.RESET_PASSWORDS, reset)
    return Opened(username=name, password=chosen, totp=user.totp and not remove_totp)
