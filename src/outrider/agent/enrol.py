"""Asks the center to take this host in.

The agent makes its own key and has it on disk before it asks, so that an answer that got lost is asked for
again and gives the same agent. The center's certificate authority is recognised by the pins in the enrolment
key and kept; nothing secret is sent before that.
"""

import asyncio
import base64
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import aiohttp
import msgspec

from outrider.agent import trust
from outrider.agent.connection import Connection
from outrider.agent.enrolment_door import SECONDS, CenterAway, ask_center
from outrider.agent.enrolment_record import EnrolmentRecord, read_record, write_record
from outrider.agent.exchange import exchange, refuse_in_listen_mode
from outrider.agent.folder import AgentFolder
from outrider.agent.identity import keys
from outrider.agent.identity.files import Claim
from outrider.agent.inward import Inward, check_url
from outrider.domain.connection_states import ConnectionState
from outrider.domain.enrolment import (
    EnrolmentKey,
    hash_agent_key,
    new_agent_key,
)
from outrider.domain.errors import Unavailable
from outrider.domain.ids import AgentId
from outrider.domain.short_forms import read_short_form
from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.files import read_bounded, write_atomically
from outrider.protocol.messages import Facts

log = logs.get(__name__)

_AGAIN: Final = Backoff(1.0, 60.0)
_PATH: Final = "/api/agents/enrol"
_MAX_FILE: Final = 64 * 1024
_ENROLLING: Final = "enrolling"

Given = TypeVar("Given")


class EnrolmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /api/agents/enrol`."""

    enrolment_key: str
    device_id: str
    public_key: str
    certificate: str
    agent_key: str
    proof: str
    facts: Facts
    label: str


class EnrolmentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The center's answer."""

    agent_id: str
    approval: str = ""
    label: str = ""


class Enroller:
    """Takes one host through its enrolment."""

    def __init__(
        self,
        folder: AgentFolder,
        *,
        connection: Connection,
        clock: Clock,
        rng: random.Random,
        allow_plain: bool = False,
        inward: Inward | None = None,
        authorities: Callable[[], str],
    ) -> None:
        """`inward` is there in listen mode: the center dials this host.

        `authorities` gives the folder with certificates that vouch for the center beside the pinned and the
        system's ones, empty for none.
        """
        self._authorities = authorities
        self._folder = folder
        self._connection = connection
        self._inward = inward
        self._clock = clock
        self._rng = rng
        self._allow_plain = allow_plain

    @property
    def _state(self) -> ConnectionState:
        waits = self._inward is not None
        return ConnectionState.WAITING_FOR_INCOMING_CONNECTION if waits else ConnectionState.CONNECTING

    def check(self, center_url: str) -> None:
        """Raise trust.CenterUrlRefused in listen mode for an address by which the center can't be known."""
        if self._inward is not None:
            check_url(center_url)

    async def enrol(
        self, *, center_url: str, key_text: str, facts: Facts, label: str, patient: bool = True
    ) -> EnrolmentRecord:
        """Return the record of the enrolment once the center has answered; waits while it is away.

        One that is not `patient` asks once, and raises Unavailable when the center is away. Both raise
        MalformedEnrolmentKey, trust.PinMismatch, trust.CenterUrlRefused, IdentityBroken or EnrolmentRefused:
        a person has to look.
        """
        trust.check_center_url(center_url, allow_plain=self._allow_plain)
        self.check(center_url)
        short = read_short_form(key_text)
        key = None if short else EnrolmentKey.parse(key_text)
        self._connection.enter(self._state, _ENROLLING)
        if key is None:
            key = await self.full_key(center_url, short or "", patient=patient)
        record = await self._prepare(center_url, key, short or "")
        claim = Claim(agent_key_hash=hash_agent_key(record.agent_key), enrolment_key_id=key.id)
        who, proof = await keys.prove(self._folder.path, claim)
        request = EnrolmentRequest(
            enrolment_key=key.format(),
            device_id=who.device_id,
            public_key=who.public_key,
            certificate=(await asyncio.to_thread(self._certificate)).decode("ascii"),
            agent_key=record.agent_key,
            proof=base64.b64encode(proof).decode("ascii"),
            facts=facts,
            label=label,
        )
        if patient:
            answer = await self._until_answered(lambda: self._ask(center_url, key, request))
        else:
            answer = await self._ask_once(center_url, key, request)
        enrolled = msgspec.structs.replace(
            record,
            agent_id=AgentId(answer.agent_id),
            label=answer.label or label,
            used_key=key.id,
            exchanged_key="",
        )
        await asyncio.to_thread(write_record, self._folder.enrolment, enrolled)
        log.info("enrolled", agent_id=answer.agent_id, approval=answer.approval)
        return enrolled

    async def full_key(self, center_url: str, short: str, *, patient: bool) -> EnrolmentKey:
        """Return the key behind a short form, as the center says or has said when it was last asked.

        One that is not `patient` asks once, and raises Unavailable when the center is away. Both raise
        EnrolmentRefused.
        """
        kept = await asyncio.to_thread(read_record, self._folder.enrolment)
        if kept is not None and kept.exchanged_key and kept.short_form == short:
            # It may be used up by now, and an enrolment whose answer was lost is asked for with the same key.
            return EnrolmentKey.parse(kept.exchanged_key)
        if self._inward is not None:
            raise refuse_in_listen_mode()
        trust.check_center_url(center_url, allow_plain=self._allow_plain)

        async def ask() -> EnrolmentKey:
            return await exchange(
                center_url, short, center_ca=self._folder.center_ca, authorities=self._authorities()
            )

        return await (self._until_answered(ask) if patient else ask())

    async def _prepare(self, center_url: str, key: EnrolmentKey, short: str) -> EnrolmentRecord:
        kept = await asyncio.to_thread(read_record, self._folder.enrolment)
        if kept is not None and kept.agent_key and not kept.removed and kept.used_key == key.id:
            return msgspec.structs.replace(kept, center_url=center_url)
        record = EnrolmentRecord(
            center_url=center_url,
            agent_key=new_agent_key(),
            used_key=key.id,
            left_key=kept.left_key if kept is not None else "",
            short_form=short,
            exchanged_key=key.format() if short else "",
        )
        await asyncio.to_thread(write_record, self._folder.enrolment, record)
        return record

    def _certificate(self) -> bytes:
        return read_bounded(self._folder.path / "identity.pem", _MAX_FILE)

    async def _until_answered(self, ask: Callable[[], Awaitable[Given]]) -> Given:
        attempt = 0
        while True:
            try:
                return await ask()
            except Unavailable as error:
                delay = _AGAIN.delay(attempt, self._rng)
                log.warning("can't enrol yet", reason=error.detail, again_in=round(delay, 1))
                self._connection.enter(ConnectionState.NOT_CONNECTED, error.detail)
                attempt += 1
                await self._clock.sleep(delay)
                self._connection.enter(self._state, _ENROLLING)

    async def _ask_once(
        self, center_url: str, key: EnrolmentKey, request: EnrolmentRequest
    ) -> EnrolmentAnswer:
        if self._inward is None:
            return await self._ask(center_url, key, request)
        try:
            return await self._clock.wait_for(self._ask(center_url, key, request), SECONDS)
        except TimeoutError:
            raise CenterAway(
                "The center has not dialled this host: have an administrator run `outrider agents dial`."
            ) from None

    async def _ask(self, center_url: str, key: EnrolmentKey, request: EnrolmentRequest) -> EnrolmentAnswer:
        authority = await self._trust(center_url, key)
        context = await asyncio.to_thread(self._context, authority) if _is_secure(center_url) else None
        connector = await self._connector(center_url, context)
        return await ask_center(
            center_url,
            _PATH,
            request,
            EnrolmentAnswer,
            context=context,
            connector=connector,
            distrusted="The center's certificate is not vouched for by the pinned authority",
        )

    def _context(self, authority: bytes | None) -> ssl.SSLContext:
        context = trust.client_context(authority)
        if authority is None:
            try:
                trust.add_authorities(context, self._authorities())
            except OSError as error:
                raise CenterAway(
                    f"The certificates that vouch for the center can't be read: {error}"
                ) from error
        return context

    async def _trust(self, center_url: str, key: EnrolmentKey) -> bytes | None:
        if not _is_secure(center_url) or not key.pins:
            return None
        connector = await self._connector(center_url, trust.unverified_context())
        try:
            authority = await trust.fetch_authority(center_url, key.pins, connector)
        except trust.PinMismatch as error:
            if connector is None:
                raise
            # Anybody may come in where this host listens: it goes on waiting for the center.
            raise CenterAway(f"Somebody else than the key's center has dialled: {error.detail}") from error
        await asyncio.to_thread(write_atomically, self._folder.center_ca, authority, mode=0o644)
        return authority

    async def _connector(
        self, center_url: str, context: ssl.SSLContext | None
    ) -> aiohttp.BaseConnector | None:
        """In listen mode wait for the center, and give what uses its connection."""
        if self._inward is None:
            return None
        self._inward.trust(center_url, context)
        await self._inward.arrival()
        return self._inward.first()


def _is_secure(center_url: str) -> bool:
    return center_url.startswith("https:")
