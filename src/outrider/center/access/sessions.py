"""What people do with sessions: see them, and end them."""

from outrider.center.access import session_rows, user_rows
from outrider.center.access.known import KnownCallers
from outrider.center.access.session_rows import (
    END_OTHER_SESSIONS,
    END_SESSIONS,
    Ending,
    EndingOthers,
    SessionRow,
)
from outrider.center.http.callers import Caller
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.errors import Forbidden, Invalid, NotFound
from outrider.domain.roles import Role
from outrider.kit.clock import Clock


class Sessions:
    """Lists and ends sessions: one's own, and an administrator those of users up to their role."""

    def __init__(self, store: Store, clock: Clock, known: KnownCallers) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._known = known

    async def of(self, user_id: str | None, caller: Caller) -> list[SessionRow]:
        """List the open sessions of a user, of the caller without one. Raises Forbidden or NotFound."""
        async with self._store.read() as conn:
            wanted = await whose(conn, user_id, caller)
            return await session_rows.sessions_of(conn, wanted, now=self._clock.time())

    async def end(self, session_id: str, caller: Caller) -> None:
        """End a session. Raises NotFound, also for one that is none of the caller's business."""
        try:
            await self._store.writer.submit(END_SESSIONS, Ending(session_id=session_id, by=caller.actor))
        except Forbidden:
            if caller.role.covers(Role.ADMIN):
                raise
            raise NotFound("There is no such session.") from None
        finally:
            self._known.forget_via(session_id)

    async def end_own(self, caller: Caller) -> None:
        """End the session that the caller came in with. Raises Invalid for who came in with an API token."""
        if caller.session_id is None:
            raise Invalid("An API token is no session: delete it with DELETE /api/tokens/{token_id}.")
        await self.end(caller.session_id, caller)

    async def end_others(self, caller: Caller) -> int:
        """End all of the caller's sessions but this one; return how many there were."""
        ending = EndingOthers(user_id=caller.user_id, keep=caller.session_id, by=caller.actor)
        try:
            return await self._store.writer.submit(END_OTHER_SESSIONS, ending)
        finally:
            self._known.forget_user(caller.user_id)


async def whose(conn: Connection, user_id: str | None, caller: Caller) -> str:
    """Say whose things the caller asks for. Raises Forbidden, or NotFound for an administrator."""
    if user_id is None or user_id == caller.user_id:
        return caller.user_id
    if not caller.role.covers(Role.ADMIN):
        raise Forbidden("This takes the role admin; without `user` you see your own.")
    user = await user_rows.user_with(conn, user_id)
    if not caller.role.may_manage(user.role):
        raise Forbidden(f"This takes the role {user.role.value}: nobody acts above their own.")
    return user.id
