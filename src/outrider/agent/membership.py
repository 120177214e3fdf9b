"""Whether this host belongs to a center: enrols it where needed, forgets it when it leaves or is deleted."""

import asyncio
from collections.abc import Callable

import msgspec

from outrider.agent.connection import Connection
from outrider.agent.enrol import Enroller
from outrider.agent.enrolment_door import EnrolmentRefused
from outrider.agent.enrolment_record import EnrolmentRecord, read_record, write_record
from outrider.agent.folder import AgentFolder
from outrider.agent.identity.files import IdentityBroken
from outrider.agent.settings import AgentSettings
from outrider.agent.trust import CenterUrlRefused, PinMismatch
from outrider.domain.connection_states import ConnectionState
from outrider.domain.enrolment import EnrolmentKey, MalformedEnrolmentKey
from outrider.domain.errors import OutriderError
from outrider.domain.short_forms import read_short_form
from outrider.kit import logs
from outrider.kit.supervise import StayDown
from outrider.protocol.messages import Facts

log = logs.get(__name__)

_LEFT = "This host has left its center."


class NotAMember(StayDown):
    """This host belongs to no center and can't join one as it is told now; the text says why."""


class CantJoin(OutriderError):
    """The center did not take this host in now; the detail says why."""

    code = "cant_join"


class Membership:
    """The enrolment of one host. At most one of its methods that change it runs at a time."""

    def __init__(
        self,
        *,
        folder: AgentFolder,
        settings: AgentSettings,
        enroller: Enroller,
        connection: Connection,
        center: Callable[[], str],
    ) -> None:
        """`center` gives the address of the center that this host is told to belong to, empty for none."""
        self._folder = folder
        self._settings = settings
        self._enroller = enroller
        self._connection = connection
        self._center = center

    async def record(self) -> EnrolmentRecord | None:
        """Return the record of the enrolment while this host belongs to a center. Raises EnrolmentBroken."""
        record = await self._read()
        return record if record is not None and record.is_enrolled else None

    async def moved(self) -> EnrolmentRecord | None:
        """Return what `record` does, with the address that the center is said to have now."""
        record = await self.record()
        return None if record is None else await self._moved(record)

    async def join(self, facts: Facts) -> EnrolmentRecord:
        """Return the record of the enrolment, enrolling first where that is needed.

        Raises NotAMember when a person has to do something first.
        """
        record = await self._read()
        try:
            if record is not None and record.is_enrolled:
                self._enroller.check(self._center() or record.center_url)
                return await self._moved(record)
            return await self._enrol(record, facts)
        except (
            MalformedEnrolmentKey,
            CenterUrlRefused,
            PinMismatch,
            EnrolmentRefused,
            IdentityBroken,
        ) as error:
            raise self._not_a_member(str(error)) from error

    async def take_in(self, key_text: str, facts: Facts) -> EnrolmentRecord:
        """Enrol this host, which belongs to no center, with a key that somebody on it has typed.

        The center is asked once. Raises CantJoin.
        """
        center = self._center()
        if not center:
            raise CantJoin("No center is configured: set controller-url first.")
        try:
            return await self._enroller.enrol(
                center_url=center,
                key_text=key_text,
                facts=facts,
                label=self._settings.label,
                patient=False,
            )
        except (OutriderError, MalformedEnrolmentKey, OSError) as error:
            reason = error.detail if isinstance(error, OutriderError) else str(error)
            self._connection.enter(ConnectionState.NOT_CONFIGURED, reason)
            raise CantJoin(reason) from error

    async def key_behind(self, record: EnrolmentRecord, key_text: str) -> EnrolmentKey:
        """Return the enrolment key that somebody has typed, asking the member's center for a short one's.

        Raises CantJoin.
        """
        try:
            short = read_short_form(key_text)
            if short is None:
                return EnrolmentKey.parse(key_text)
            return await self._enroller.full_key(record.center_url, short, patient=False)
        except (OutriderError, MalformedEnrolmentKey) as error:
            raise CantJoin(error.detail if isinstance(error, OutriderError) else str(error)) from error

    async def leave(self) -> None:
        """Wipe all that made this host a member, its key pair too. Raises OSError."""
        record = await self._read()
        if record is not None:
            gone = EnrolmentRecord(
                center_url=record.center_url,
                used_key=record.used_key,
                removed=_LEFT,
                left_key=self._told_key(),
                short_form=record.short_form,
            )
            await asyncio.to_thread(write_record, self._folder.enrolment, gone)
        await asyncio.to_thread(self._wipe)
        log.info("this host has left its center")

    async def forget(self, reason: str) -> None:
        """Wipe the agent key: the center has deleted this agent."""
        record = await self._read()
        if record is None:
            return
        gone = msgspec.structs.replace(
            record, agent_key="", agent_id=None, removed=reason or "deleted", left_key=self._told_key()
        )
        await asyncio.to_thread(write_record, self._folder.enrolment, gone)
        log.warning("this agent was deleted at the center; its key is wiped", reason=reason)

    async def _read(self) -> EnrolmentRecord | None:
        return await asyncio.to_thread(read_record, self._folder.enrolment)

    async def _moved(self, record: EnrolmentRecord) -> EnrolmentRecord:
        wanted = self._center()
        if not wanted or wanted == record.center_url:
            return record
        moved = msgspec.structs.replace(record, center_url=wanted)
        await asyncio.to_thread(write_record, self._folder.enrolment, moved)
        log.info("the center has another address now", center=wanted)
        return moved

    async def _enrol(self, record: EnrolmentRecord | None, facts: Facts) -> EnrolmentRecord:
        settings = self._settings
        center = self._center()
        if not center or not settings.enrolment_key:
            missing = "OUTRIDER_ENROLMENT_KEY" if center else "OUTRIDER_CENTER_URL"
            before = f"{record.removed} " if record is not None and record.removed else ""
            raise self._not_a_member(f"{before}To join a center set {missing}.")
        if record is not None:
            self._check_key(record, _name_of(settings.enrolment_key))
        return await self._enroller.enrol(
            center_url=center, key_text=settings.enrolment_key, facts=facts, label=settings.label
        )

    def _check_key(self, record: EnrolmentRecord, told: str) -> None:
        if record.removed and told in {record.used_key, record.short_form, record.left_key}:
            raise self._not_a_member(f"{record.removed} To join again, use a new enrolment key.")
        if told == record.left_key:
            # A try to join with another key has failed since: the old one must not bring the host back.
            raise self._not_a_member(f"{_LEFT} To join again, use a new enrolment key.")

    def _told_key(self) -> str:
        try:
            return _name_of(self._settings.enrolment_key)
        except MalformedEnrolmentKey:
            return ""

    def _wipe(self) -> None:
        folder = self._folder
        # The first of them is what says that there is an identity: a half-done removal leaves none.
        for name in ("identity.json", "identity.key", "identity.pem"):
            (folder.path / name).unlink(missing_ok=True)
        folder.center_ca.unlink(missing_ok=True)

    def _not_a_member(self, reason: str) -> NotAMember:
        self._connection.enter(ConnectionState.NOT_CONFIGURED, reason)
        return NotAMember(reason)


def _name_of(key_text: str) -> str:
    """Return what a key in the settings is remembered by. Raises MalformedEnrolmentKey."""
    return read_short_form(key_text) or EnrolmentKey.parse(key_text).id
