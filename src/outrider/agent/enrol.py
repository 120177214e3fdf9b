"""Asks the center to take this host in.

The agent makes its own key and has it on disk before it asks, so that an answer that got lost is asked for
again and gives the same agent. The center's certificate authority is recognised by the pins in the enrolment
key and kept; nothing secret is sent before that.
"""

import asyncio
import base64
import random
import ssl
from typing import Final

import aiohttp
import msgspec

from outrider.agent import trust
from outrider.agent.answers import AnswerTooLong, read_body
from outrider.agent.connection import Connection
from outrider.agent.enrolment_record import EnrolmentRecord, read_record, write_record
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
from outrider.domain.errors import OutriderError, Unavailable
from outrider.domain.ids import AgentId
from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.files import read_bounded, write_atomically
from outrider.protocol.messages import Facts

log = logs.get(__name__)

_AGAIN: Final = Backoff(1.0, 60.0)
_SECONDS: Final = 30.0
_MAX_ANSWER: Final = 64 * 1024
_ENROLLING: Final = "enrolling"
_OK: Final = 200
_TOO_EARLY: Final = frozenset({408, 425, 429})
_SERVER_FAULT: Final = 500


class EnrolmentRefused(OutriderError):
    """The center does not take this host in; trying the same again does not help."""

    code = "enrolment_refused"


class CenterAway(Unavailable):
    """The center gave no usable answer; trying again may help."""

    code = "center_away"


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


class _Problem(msgspec.Struct, frozen=True):
    """What is read of an RFC 9457 problem."""

    detail: str = ""
    code: str = ""


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
    ) -> None:
        """`inward` is there in listen mode: the center dials this host."""
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
        key = EnrolmentKey.parse(key_text)
        self._connection.enter(self._state, _ENROLLING)
        record = await self._prepare(center_url, key)
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
            answer = await self._ask_until_answered(center_url, key, request)
        else:
            answer = await self._ask_once(center_url, key, request)
        enrolled = msgspec.structs.replace(
            record, agent_id=AgentId(answer.agent_id), label=answer.label or label, used_key=key.id
        )
        await asyncio.to_thread(write_record, self._folder.enrolment, enrolled)
        log.info("enrolled", agent_id=answer.agent_id, approval=answer.approval)
        return enrolled

    async def _prepare(self, center_url: str, key: EnrolmentKey) -> EnrolmentRecord:
        kept = await asyncio.to_thread(read_record, self._folder.enrolment)
        if kept is not None and kept.agent_key and not kept.removed and kept.used_key == key.id:
            return msgspec.structs.replace(kept, center_url=center_url)
        record = EnrolmentRecord(
            center_url=center_url,
            agent_key=new_agent_key(),
            used_key=key.id,
            left_key=kept.left_key if kept is not None else "",
        )
        await asyncio.to_thread(write_record, self._folder.enrolment, record)
        return record

    def _certificate(self) -> bytes:
        return read_bounded(self._folder.path / "identity.pem", _MAX_ANSWER)

    async def _ask_until_answered(
        self, center_url: str, key: EnrolmentKey, request: EnrolmentRequest
    ) -> EnrolmentAnswer:
        attempt = 0
        while True:
            try:
                return await self._ask(center_url, key, request)
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
            return await self._clock.wait_for(self._ask(center_url, key, request), _SECONDS)
        except TimeoutError:
            raise CenterAway(
                "The center has not dialled this host: have an administrator run `outrider agents dial`."
            ) from None

    async def _ask(self, center_url: str, key: EnrolmentKey, request: EnrolmentRequest) -> EnrolmentAnswer:
        authority = await self._trust(center_url, key)
        url = f"{center_url.rstrip('/')}/api/agents/enrol"
        context = trust.client_context(authority) if _is_secure(center_url) else None
        connector = await self._connector(center_url, context)
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
                session.post(
                    url,
                    data=msgspec.json.encode(request),
                    headers={"Content-Type": "application/json"},
                    ssl=True if context is None else context,
                    allow_redirects=False,
                ) as response,
            ):
                return _understood(response.status, await read_body(response, _MAX_ANSWER))
        except aiohttp.ClientConnectorCertificateError as error:
            raise EnrolmentRefused(
                f"The center's certificate is not vouched for by the pinned authority: {error}",
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError, AnswerTooLong) as error:
            raise CenterAway(
                f"The center {center_url} can't be reached: {logs.describe_error(error)}"
            ) from error

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


def _understood(status: int, body: bytes) -> EnrolmentAnswer:
    if status == _OK:
        try:
            return msgspec.json.decode(body, type=EnrolmentAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CenterAway(f"The center's answer can't be read: {error}") from None
    try:
        detail = msgspec.json.decode(body, type=_Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = ""
    said = detail or f"HTTP {status}"
    if status >= _SERVER_FAULT or status in _TOO_EARLY:
        raise CenterAway(f"The center can't enrol anybody now: {said}")
    raise EnrolmentRefused(f"The center refused to enrol this host: {said}")
