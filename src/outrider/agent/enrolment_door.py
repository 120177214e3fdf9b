"""What a host asks of a center before it belongs to it."""

import ssl
from typing import Final, TypeVar

import aiohttp
import msgspec

from outrider.agent.answers import AnswerTooLong, read_body
from outrider.domain.errors import OutriderError, Unavailable
from outrider.kit import logs

SECONDS: Final = 30.0
_MAX_ANSWER: Final = 64 * 1024
_OK: Final = 200
_TOO_EARLY: Final = frozenset({408, 425, 429})
_SERVER_FAULT: Final = 500

Answer = TypeVar("Answer", bound=msgspec.Struct)


class EnrolmentRefused(OutriderError):
    """The center does not take this host in; trying the same again does not help."""

    code = "enrolment_refused"


class CenterAway(Unavailable):
    """The center gave no usable answer; trying again may help."""

    code = "center_away"


class _Problem(msgspec.Struct, frozen=True):
    """What is read of an RFC 9457 problem."""

    detail: str = ""
    code: str = ""


async def ask_center(
    center_url: str,
    path: str,
    request: msgspec.Struct,
    answer: type[Answer],
    *,
    context: ssl.SSLContext | None,
    connector: aiohttp.BaseConnector | None,
    distrusted: str,
) -> Answer:
    """Post a request and read the answer; the connector is closed, without one the center is dialled.

    Raises CenterAway, or EnrolmentRefused: for an answer that says no, and with `distrusted` in its text
    where the center's certificate does not verify by `context`.
    """
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            session.post(
                center_url.rstrip("/") + path,
                data=msgspec.json.encode(request),
                headers={"Content-Type": "application/json"},
                ssl=True if context is None else context,
                allow_redirects=False,
            ) as response,
        ):
            return _understood(response.status, await read_body(response, _MAX_ANSWER), answer)
    except aiohttp.ClientConnectorCertificateError as error:
        raise EnrolmentRefused(f"{distrusted}: {error}") from error
    except (aiohttp.ClientError, OSError, TimeoutError, AnswerTooLong) as error:
        raise CenterAway(f"The center {center_url} can't be reached: {logs.describe_error(error)}") from error


def _understood(status: int, body: bytes, answer: type[Answer]) -> Answer:
    if status == _OK:
        try:
            return msgspec.json.decode(body, type=answer)
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
