"""Requests to a center: TLS, errors, retries and event streams. Knows HTTP and none of the API's words."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
import msgspec
from yarl import URL

from outrider import __version__
from outrider.client import trust
from outrider.client.faults import CenterAway, StrangeAnswer, WrongCertificate, from_answer
from outrider.domain.errors import Invalid, OutriderError
from outrider.kit.backoff import Backoff
from outrider.kit.sse import CONTENT_TYPE, SseEvent, SseParser, SseTooLarge

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

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
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_SLOW_SECONDS: Final = 3.0
# A stream carries a heartbeat every 15 s: this long without one, and the connection is half open.
_SILENCE_SECONDS: Final = 45.0

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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


def check_url(url: str, *, allow_plain: bool) -> URL:
    """Read a center's address.

    Raises Invalid for one that can't be used, or that would show secrets to the network.
    """
    try:
        parsed = URL(url)
        host = parsed.host
    except ValueError as error:
        raise Invalid(f"{url!r} is no address of a center: {error}.", field="url") from None
    if parsed.scheme not in ("http", "https") or not host:
        raise Invalid(
            f"{url!r} is no address of a center: it should read like https://center.example:8443.",
            field="url",
        )
    if parsed.scheme == "http" and host not in _LOOPBACK and not host.startswith("127.") and not allow_plain:
        raise Invalid(
            f"{url} is plain HTTP: passwords and tokens would cross the network readable. Use the center's "
            "https address, or allow plain HTTP where the network itself is safe.",
            field="url",
        )
    folder = parsed.path.strip("/")
    return parsed.origin().joinpath(folder) if folder else parsed.origin()


class Transport:
    """One center's address with the connections to it. Make and use it inside a running event loop."""

    def __init__(
        self,
        url: URL,
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
        self._context: ssl.SSLContext | bool = True
        if url.scheme == "https":
            self._context = trust.verified_context(authority)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=_ANSWER_SECONDS
            ),
            headers={"User-Agent": f"outrider/{__version__}", "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

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
        async with self._request(method, self._at(path, query), headers=sent, data=data) as response:
            content = await _bounded(response, _MAX_ANSWER)
            return Page(body=content, next_path=_next_path(response))

    def _at(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        # A page's address comes from the center: only its path and query count, never another host.
        url = URL(str(self.url).rstrip("/") + path, encoded=True)
        return url.update_query(query) if query else url

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: bytes | None = None,
        silence: float = _ANSWER_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        sent = dict(headers)
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=silence)
        loop = asyncio.get_running_loop()
        waiting = loop.call_later(_SLOW_SECONDS, self._tell_slow)
        try:
            async with self._session.request(
                method, url, headers=sent, data=data, ssl=self._context, allow_redirects=False, timeout=limits
            ) as response:
                waiting.cancel()
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    await self._raise_error(response)
                yield response
        except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch) as error:
            raise await self._wrong_certificate(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._away(error) from error
        finally:
            waiting.cancel()

    def _tell_slow(self) -> None:
        if self._slow is not None:
            self._slow(str(self.url), _SLOW_SECONDS)

    async def _raise_error(self, response: aiohttp.ClientResponse) -> None:
        if response.status < HTTPStatus.BAD_REQUEST:
            raise StrangeAnswer(
                f"{self.url} sends requests on to {response.headers.get('Location', 'nowhere')[:200]!r}: "
                "sign in at the center's own address.",
                url=str(self.url),
                reason=f"HTTP {response.status}",
            )
        raise from_answer(response.status, await _bounded(response, _MAX_PROBLEM), url=str(self.url))

    def _away(self, error: BaseException) -> CenterAway:
        reason = _reason_of(error)
        return CenterAway(
            f"No center answers at {self.url} ({reason}). Is it running, and is the address right?",
            url=str(self.url),
            reason=reason,
        )

    async def _wrong_certificate(self, error: aiohttp.ClientError) -> OutriderError:
        """Say what is wrong with the certificate, and which pins are expected and shown."""
        reason = _certificate_reason(error)
        if reason is None:
            return self._away(error)
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
        context = trust.unverified_context() if self.url.scheme == "https" else True
        try:
            async with self._session.get(self._at("/api/ca"), ssl=context, allow_redirects=False) as response:
                if response.status == HTTPStatus.NOT_FOUND:
                    return []
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    await self._raise_error(response)
                pem = await _bounded(response, _MAX_AUTHORITY)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._away(error) from error
        return trust.read_authorities(pem.decode("ascii", "replace"))

    async def download(self, path: str) -> AsyncGenerator[bytes, None]:
        """An answer of any length, in pieces as they come. It is asked for once."""
        async with self._request("GET", self._at(path), headers={"Accept": "*/*"}) as response:
            async for chunk in response.content.iter_any():
                yield chunk

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
                async with self._open_stream(path, last_id) as response:
                    parser = SseParser(max_line=_MAX_EVENT, max_event=_MAX_EVENT)
                    async for chunk in response.content.iter_any():
                        heard = self._clock.monotonic()
                        for event in parser.feed(chunk):
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
    async def _open_stream(self, path: str, last_id: str) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": CONTENT_TYPE, "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        async with self._request(
            "GET", self._at(path), headers=headers, silence=_SILENCE_SECONDS
        ) as response:
            if response.content_type != CONTENT_TYPE:
                raise StrangeAnswer(
                    f"{self.url} answered {path} with {response.content_type} instead of an event stream: it "
                    "is of another version, or something in between changes its answers.",
                    url=str(self.url),
                    reason=response.content_type,
                )
            yield response


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise StrangeAnswer(
                f"The answer of {response.url.origin()} to {response.url.path} is larger than {limit} bytes.",
                url=str(response.url.origin()),
                reason="too large",
            )
    return bytes(body)


def _next_path(response: aiohttp.ClientResponse) -> str | None:
    link = response.links.get("next")
    url = None if link is None else link.get("url")
    return URL(str(url)).raw_path_qs if url is not None else None


def _reason_of(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "it broke off the connection"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} is not known"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
        # asyncio puts the address it tried where the reason should stand.
        return os.strerror(cause.errno).lower()
    return str(cause) or type(cause).__name__


def _certificate_reason(error: aiohttp.ClientError) -> str | None:
    """Why the certificate was refused; None when TLS failed for another reason."""
    certificate = getattr(error, "certificate_error", None)
    if certificate is None:
        return None
    return str(getattr(certificate, "verify_message", "") or certificate)
