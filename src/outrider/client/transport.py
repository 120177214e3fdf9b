"""Requests to a center: TLS, errors, retries and event streams. Knows HTTP and none of the API's words."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import re
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from outrider import __version__
from outrider.client import trust
from outrider.client.connections import Connections, Streamed
from outrider.client.faults import CenterAway, StrangeAnswer, WrongCertificate, from_answer
from outrider.client.http1 import BrokenOff, MalformedAnswer
from outrider.client.websocket import WebSocket, check_upgrade, new_key, upgrade_headers
from outrider.domain.errors import OutriderError
from outrider.kit.backoff import Backoff
from outrider.kit.sse import CONTENT_TYPE, SseEvent, SseParser, SseTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from outrider.client.address import Address
    from outrider.client.http1 import Answer
    from outrider.kit.clock import Clock

T = TypeVar("T")

_MAX_ANSWER: Final = 256 * 1024 * 1024
_MAX_PROBLEM: Final = 1024 * 1024
_MAX_AUTHORITY: Final = 64 * 1024
# A result carries both kept streams of a command, escaped for JSON; nothing we read is larger.
_MAX_EVENT: Final = 64 * 1024 * 1024
_TRIES: Final = 4
_BACKOFF: Final = Backoff(0.2, 2.0)
_STREAM_BACKOFF: Final = Backoff(0.5, 10.0)
_ANSWER_SECONDS: Final = 60.0
_SLOW_SECONDS: Final = 3.0
# A stream carries a heartbeat every 15 s: this long without one, and the connection is half open.
_SILENCE_SECONDS: Final = 45.0

_HEADERS: Final = {
    "User-Agent": f"outrider/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
_IN_TARGET: Final = "/?%:@!$&'()*+,;=~"
_NEXT: Final = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """A decoded answer, and the path of the page after it."""

    body: bytes
    next_path: str | None


@dataclass(frozen=True, slots=True)
class Interruption:
    """A stream broke off; it is asked for again in `seconds`."""

    reason: str
    seconds: float


class Transport:
    """One center's address with the connections to it. Make and use it inside a running event loop."""

    def __init__(
        self,
        url: Address,
        *,
        authority: str | None,
        clock: Clock,
        slow: Callable[[str, float], None] | None = None,
    ) -> None:
        """`authority` is the PEM to trust for https; None is the system's authorities.

        `slow` is told the address when an answer takes longer than the seconds given with it.
        """
        self._slow = slow
        self.url = url
        self.token: str | None = None
        self._authority = authority
        self._clock = clock
        self._rng = random.Random()  # noqa: S311 - spreads retries, guards nothing
        context = trust.verified_context(authority) if url.scheme == "https" else None
        self._connections = Connections(url, context)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def ask(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> T:
        """Make a request and decode its answer.

        A `repeatable` request is tried again when the center can't be reached. Raises what the center raised,
        CenterAway, WrongCertificate or StrangeAnswer.
        """
        page = await self.fetch(method, path, query=query, body=body, headers=headers, repeatable=repeatable)
        return self.decode(page.body, answer, path)

    def decode(self, body: bytes | str, answer: type[T], path: str) -> T:
        """Decode an answer. Raises StrangeAnswer, which names what did not fit."""
        try:
            return msgspec.json.decode(body, type=answer)
        except msgspec.DecodeError as error:
            raise StrangeAnswer(
                f"The answer of {self.url} to {path} is not one that Outrider {__version__} understands "
                f"({error}). If a center is there, it has another version: use the client that came with it.",
                url=str(self.url),
                reason=str(error),
            ) from None

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Page:
        """Make a request and return its answer as bytes; see `ask`."""
        attempt = 0
        while True:
            try:
                return await self._fetch_once(method, path, query=query, body=body, headers=headers)
            except CenterAway:
                attempt += 1
                if not repeatable or attempt >= _TRIES:
                    raise
                await self._clock.sleep(_BACKOFF.delay(attempt - 1, self._rng))

    async def _fetch_once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: object,
        headers: Mapping[str, str] | None,
    ) -> Page:
        sent = dict(headers or {})
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        if query:
            path = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"
        async with self._request(method, path, headers=sent, data=data) as answer:
            content = await self._bounded(answer, _MAX_ANSWER, path)
            return Page(body=content, next_path=_next_path(answer))

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        data: bytes | Streamed | None = None,
        silence: float = _ANSWER_SECONDS,
    ) -> AsyncIterator[Answer]:
        sent = {**_HEADERS, **headers}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        waiting = asyncio.get_running_loop().call_later(_SLOW_SECONDS, self._tell_slow)
        try:
            async with self._connections.request(
                method, self.url.folder + path, sent, data, silence=silence
            ) as answer:
                waiting.cancel()
                if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                    await self._raise_error(answer, path)
                yield answer
        except ssl.SSLCertVerificationError as error:
            raise await self._wrong_certificate(error) from error
        except MalformedAnswer as error:
            raise self._strange(error, path) from error
        except OSError as error:
            raise self._away(error) from error
        finally:
            waiting.cancel()

    @asynccontextmanager
    async def upgrade(self, path: str) -> AsyncIterator[WebSocket]:
        """Open a WebSocket, which is closed when the block is left.

        Raises what the center answers instead, CenterAway (also from within the block, once the connection is
        cut), WrongCertificate or StrangeAnswer.
        """
        key = new_key()
        sent = {**_HEADERS, **upgrade_headers(key)}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        try:
            async with self._connections.upgrade(self.url.folder + path, sent, silence=_ANSWER_SECONDS) as (
                answer,
                reader,
                writer,
            ):
                if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
                    await self._raise_error(answer, path)
                check_upgrade(answer.headers, key)
                yield WebSocket(reader, writer, silence=_SILENCE_SECONDS)
        except ssl.SSLCertVerificationError as error:
            raise await self._wrong_certificate(error) from error
        except MalformedAnswer as error:
            raise self._strange(error, path) from error
        except OSError as error:
            raise self._away(error) from error

    def _tell_slow(self) -> None:
        if self._slow is not None:
            self._slow(str(self.url), _SLOW_SECONDS)

    async def _raise_error(self, answer: Answer, path: str) -> None:
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise StrangeAnswer(
                f"{self.url} sends requests on to {answer.headers.get('location', 'nowhere')[:200]!r}: "
                "sign in at the center's own address.",
                url=str(self.url),
                reason=f"HTTP {answer.status}",
            )
        raise from_answer(answer.status, await self._bounded(answer, _MAX_PROBLEM, path), url=str(self.url))

    async def _bounded(self, answer: Answer, limit: int, path: str) -> bytes:
        pieces, size = [], 0
        async for piece in answer.pieces():
            size += len(piece)
            if size > limit:
                raise StrangeAnswer(
                    f"The answer of {self.url} to {path} is larger than {limit} bytes.",
                    url=str(self.url),
                    reason="too large",
                )
            pieces.append(piece)
        return b"".join(pieces)

    def _strange(self, error: MalformedAnswer, path: str) -> StrangeAnswer:
        return StrangeAnswer(
            f"What answers at {self.url} to {path} does not speak HTTP as a center does ({error}). "
            "Is the address right, and is it https?",
            url=str(self.url),
            reason=str(error),
        )

    def _away(self, error: OSError) -> CenterAway:
        reason = _reason_of(error, self.url.host)
        return CenterAway(
            f"No center answers at {self.url} ({reason}). Is it running, and is the address right?",
            url=str(self.url),
            reason=reason,
        )

    async def _wrong_certificate(self, error: ssl.SSLCertVerificationError) -> WrongCertificate:
        """Say what is wrong with the certificate, and which pins are expected and shown."""
        reason = error.verify_message or str(error)
        fields: dict[str, Any] = {"url": str(self.url), "reason": reason}
        try:
            seen = [authority.pin for authority in await self.offered_authorities()]
        except OutriderError:
            seen = []
        known = [authority.pin for authority in trust.read_authorities(self._authority or "")]
        fields |= {"pinned": known, "seen": seen}
        if not known:
            advice = (
                f"The center offers an authority of its own, pin {' '.join(seen)}: sign in with "
                f"`outrider login {self.url} --pin {seen[0]}` if that is the pin the center itself shows."
                if seen
                else "Give its authority with --ca FILE, or its pin with --pin."
            )
            return WrongCertificate(
                f"The certificate of {self.url} can't be verified ({reason}). {advice}", **fields
            )
        if set(known) & set(seen) or not seen:
            return WrongCertificate(
                f"The certificate of {self.url} can't be verified ({reason}), though its authority is the "
                f"pinned one, {' '.join(known)}. Is it for this address, and are both clocks right?",
                **fields,
            )
        return WrongCertificate(
            f"{self.url} is not the center you signed in to: pinned is {' '.join(known)}, it shows "
            f"{' '.join(seen)}. If the center was set up anew, compare with the pin it prints and use "
            f"`outrider login {self.url} --pin {seen[0]}`; if not, somebody is between you and it.",
            **fields,
        )

    async def offered_authorities(self) -> list[trust.Authority]:
        """The authorities that the center offers at `/api/ca`, not verified in any way. No token is sent."""
        context = trust.unverified_context() if self.url.scheme == "https" else None
        connections = Connections(self.url, context)
        path = "/api/ca"
        try:
            async with connections.request(
                "GET", self.url.folder + path, _HEADERS, None, silence=_ANSWER_SECONDS
            ) as answer:
                if answer.status == HTTPStatus.NOT_FOUND:
                    return []
                if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                    await self._raise_error(answer, path)
                pem = await self._bounded(answer, _MAX_AUTHORITY, path)
        except MalformedAnswer as error:
            raise self._strange(error, path) from error
        except OSError as error:
            raise self._away(error) from error
        finally:
            await connections.close()
        return trust.read_authorities(pem.decode("ascii", "replace"))

    @asynccontextmanager
    async def open(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """Ask for an answer of any length, once; its pieces are read within the block."""
        async with self._request("GET", path, headers=headers) as answer:
            yield answer

    async def send(
        self,
        path: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes],
        *,
        length: int | None,
        silence: float,
    ) -> bytes:
        """Post a body of any length piece by piece, once, and return the answer.

        `length` is that of the body where it is known. Raises what `ask` raises, as soon as the center says
        it, and what `body` raises.
        """
        async with self._request(
            "POST", path, headers=headers, data=Streamed(body, length), silence=silence
        ) as answer:
            return await self._bounded(answer, _MAX_PROBLEM, path)

    async def work(self, method: str, path: str, answer: type[T], *, silence: float) -> T:
        """Make a request once whose answer may take up to `silence` seconds. Raises as `ask` does."""
        async with self._request(method, path, headers={}, silence=silence) as found:
            return self.decode(await self._bounded(found, _MAX_PROBLEM, path), answer, path)

    async def download(self, path: str) -> AsyncGenerator[bytes, None]:
        """An answer of any length, in pieces as they come. It is asked for once."""
        async with self._request("GET", path, headers={"Accept": "*/*"}) as answer:
            async for piece in answer.pieces():
                yield piece

    async def stream(
        self, path: str, *, last_id: str = "", patience: float | None = None
    ) -> AsyncGenerator[SseEvent | Interruption, None]:
        """Read an event stream, and ask for it again from the last event whenever it breaks off.

        It never ends by itself: leave it (with `contextlib.aclosing`) after the last event you want. Raises
        CenterAway once the center has been away for `patience` seconds (None: never), and whatever the center
        answers instead of the stream.
        """
        attempt = 0
        heard = self._clock.monotonic()
        while True:
            reason = "the stream ended"
            try:
                async with self._open_stream(path, last_id) as answer:
                    parser = SseParser(max_line=_MAX_EVENT, max_event=_MAX_EVENT)
                    async for piece in answer.pieces():
                        heard = self._clock.monotonic()
                        for event in parser.feed(piece):
                            attempt, last_id = 0, event.id or last_id
                            yield event
                        # An id without data moves the place to resume from as well.
                        last_id = parser.last_event_id or last_id
            except CenterAway as error:
                if patience is not None and self._clock.monotonic() - heard >= patience:
                    raise
                reason = str(error.fields.get("reason", error.detail))
            except SseTooLarge as error:
                raise StrangeAnswer(
                    f"{self.url}{path}: {error}.", url=str(self.url), reason=str(error)
                ) from None
            seconds = _STREAM_BACKOFF.delay(attempt, self._rng)
            attempt += 1
            yield Interruption(reason=reason, seconds=seconds)
            await self._clock.sleep(seconds)

    @asynccontextmanager
    async def _open_stream(self, path: str, last_id: str) -> AsyncIterator[Answer]:
        headers = {"Accept": CONTENT_TYPE, "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        async with self._request("GET", path, headers=headers, silence=_SILENCE_SECONDS) as answer:
            kind = answer.headers.get("content-type", "nothing").partition(";")[0].strip().lower()
            if kind != CONTENT_TYPE:
                raise StrangeAnswer(
                    f"{self.url} answered {path} with {kind} instead of an event stream: it is of another "
                    "version, or something in between changes its answers.",
                    url=str(self.url),
                    reason=kind,
                )
            yield answer


def _next_path(answer: Answer) -> str | None:
    """The next page's path and query. The link comes from the center: its host never counts."""
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return None
    parts = urlsplit(found[1])
    path = quote(parts.path, safe=_IN_TARGET)
    return f"{path}?{quote(parts.query, safe=_IN_TARGET)}" if parts.query else path


def _reason_of(error: OSError, host: str) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, BrokenOff):
        return "it broke off the connection"
    if isinstance(error, socket.gaierror):
        return f"the name {host} is not known"
    if error.errno is not None and error.errno in errno.errorcode and not isinstance(error, ssl.SSLError):
        # asyncio puts the address it tried where the reason should stand.
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
