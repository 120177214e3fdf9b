"""Whether this host belongs to a center: enrols it where needed, forgets it when it is deleted there."""

import asyncio

import msgspec

from outrider.agent.connection import Connection
from outrider.agent.enrol import Enroller, EnrolmentRefused
from outrider.agent.enrolment_record import EnrolmentRecord, read_record, write_record
from outrider.agent.folder import AgentFolder
from outrider.agent.identity.files import IdentityBroken
from outrider.agent.settings import AgentSettings
from outrider.agent.trust import CenterUrlRefused, PinMismatch
from outrider.domain.connection_states import ConnectionState
from outrider.domain.enrolment import EnrolmentKey, MalformedEnrolmentKey
from outrider.kit import logs
from outrider.kit.supervise import StayDown
from outrider.protocol.messages import Facts

log = logs.get(__name__)


class NotAMember(StayDown):
    """This host belongs to no center and can't join one as it is told now; the text says why."""


class Membership:
    """The enrolment of one host."""

    def __init__(
        self, *, folder: AgentFolder, settings: AgentSettings, enroller: Enroller, connection: Connection
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._enroller = enroller
        self._connection = connection

    async def join(self, facts: Facts) -> EnrolmentRecord:
        """Return the record of the enrolment, enrolling first where that is needed.

        Raises NotAMember when a person has to do something first.
        """
        record = await asyncio.to_thread(read_record, self._folder.enrolment)
        if record is not None and record.is_enrolled:
            return await self._moved(record)
        try:
            return await self._enrol(record, facts)
        except (
            MalformedEnrolmentKey,
            CenterUrlRefused,
            PinMismatch,
            EnrolmentRefused,
            IdentityBroken,
        ) as error:
            raise self._not_a_member(str(error)) from error

    async def forget(self, reason: str) -> None:
        """Wipe the agent key: the center has deleted this agent."""
        record = await asyncio.to_thread(read_record, self._folder.enrolment)
        if record is None:
            return
        gone = msgspec.structs.replace(record, agent_key="", agent_id=None, removed=reason or "deleted")
        await asyncio.to_thread(write_record, self._folder.enrolment, gone)
        log.warning("this agent was deleted at the center; its key is wiped", reason=reason)

    async def _moved(self, record: EnrolmentRecord) -> EnrolmentRecord:
        wanted = self._settings.center_url
        if not wanted or wanted == record.center_url:
            return record
        moved = msgspec.structs.replace(record, center_url=wanted)
        await asyncio.to_thread(write_record, self._folder.enrolment, moved)
        log.info("the center has another address now", center=wanted)
        return moved

    async def _enrol(self, record: EnrolmentRecord | None, facts: Facts) -> EnrolmentRecord:
        settings = self._settings
        if not settings.center_url or not settings.enrolment_key:
            missing = "OUTRIDER_CENTER_URL" if not settings.center_url else "OUTRIDER_ENROLMENT_KEY"
            before = f"{record.removed} " if record is not None and record.removed else ""
            raise self._not_a_member(f"{before}To join a center set {missing}.")
        if record is not None and record.removed:
            key = EnrolmentKey.parse(settings.enrolment_key)
            if key.id == record.used_key:
                raise self._not_a_member(f"{record.removed} To join again, use a new enrolment key.")
        self._connection.enter(ConnectionState.CONNECTING, "enrolling")
        return await self._enroller.enrol(
            center_url=settings.center_url, key_text=settings.enrolment_key, facts=facts, label=settings.label
        )

    def _not_a_member(self, reason: str) -> NotAMember:
        self._connection.enter(ConnectionState.NOT_CONFIGURED, reason)
        return NotAMember(reason)
