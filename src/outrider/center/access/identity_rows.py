"""Who the people of a sign-in provider are here: one user for each subject of an issuer."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from outrider.center.access import user_rows
from outrider.center.access.user_rows import NewUser, User
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.schema import identities, users
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER
from outrider.domain.errors import Forbidden, Unauthenticated
from outrider.domain.ids import UserId
from outrider.domain.roles import Role


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom a provider has proved."""

    issuer: str
    subject: str
    #: The name, id and stamp of the user to be added when there is none.
    username: str
    user_id: UserId
    #: Also the stamp when the role changes.
    stamp: str
    #: The role of a user to be added; None: nobody is added.
    first_role: Role | None
    #: The role that the provider gives at each sign-in; None: it stays what it is here.
    role: Role | None


class RecognisePersons:
    """Find the users of proven people; add those who come for the first time.

    A user who is here already, of the same name or e-mail address, is never taken for them: that would let
    whoever rules the provider take over local users.
    """

    name = "recognise people of a provider"
    rank = 18

    async def apply(self, tx: Transaction, items: Sequence[Person]) -> Sequence[User | Exception]:
        """Return each one's user; `Forbidden`, `Conflict` or `Unauthenticated` for who may not come in."""
        return await one_by_one(tx, items, self._recognise)

    async def _recognise(self, tx: Transaction, item: Person) -> User:
        known = (
            await tx.conn.execute(
                sa.select(identities.c.user_id).where(
                    identities.c.issuer == item.issuer, identities.c.subject == item.subject
                )
            )
        ).scalar_one_or_none()
        if known is None:
            return await self._add(tx, item)
        user = await user_rows.user_with(tx.conn, known)
        if user.disabled:
            raise Unauthenticated("The user is disabled.")
        if item.role is None or item.role is user.role or await user_rows.is_last_owner(tx, user):
            return user
        await user_rows.void(tx, user.id, item.stamp)
        await tx.conn.execute(sa.update(users).where(users.c.id == user.id).values(role=item.role.value))
        changed = {"role": item.role.value}
        tx.event("user.changed", user.id, changed)
        tx.audit(
            CENTER,
            "user.change",
            user.id,
            {"username": user.username, "changed": changed, "issuer": item.issuer},
        )
        return await user_rows.user_with(tx.conn, user.id)

    async def _add(self, tx: Transaction, item: Person) -> User:
        if item.first_role is None:
            raise Forbidden("The provider knows you, but gives you no role here; ask an administrator.")
        await user_rows.insert(
            tx,
            NewUser(
                id=item.user_id,
                username=item.username,
                password_hash="",
                role=item.first_role,
                stamp=item.stamp,
            ),
        )
        await tx.conn.execute(
            sa.insert(identities).values(
                issuer=item.issuer, subject=item.subject, user_id=item.user_id, created=tx.now
            )
        )
        tx.audit(CENTER, "identity.link", item.user_id, {"issuer": item.issuer, "subject": item.subject})
        return await user_rows.user_with(tx.conn, item.user_id)


RECOGNISE_PERSONS = RecognisePersons()
