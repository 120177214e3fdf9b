"""Answers of many bytes: passed on as they come, or the connection cut where they end early."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol, cast

from litestar.response.base import ASGIResponse, Response
from litestar.types import Receive, Scope, Send

from outrider.center.http.server import ABORT
from outrider.domain.errors import OutriderError
from outrider.kit import logs
from outrider.kit.tasks import Tasks

log = logs.get(__name__)


class Leaving(Protocol):
    """Something that is being brought from a host."""

    def leave(self) -> None:
        """Stop it."""
        ...


Bytes = bytes | memoryview


class Exchange:
    """One answer as it is sent: begun once, then bytes, whose reader may go at any moment."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head."""
        encoded = [(name.encode(), value.encode("latin1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def end(self, body: bytes = b"") -> None:
        """Send the last bytes."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def send_all(self, pieces: AsyncGenerator[Bytes, None], source: Leaving) -> str:
        """Send pieces to their end, and return an empty text, or why not all came.

        When the host fails in the middle the connection is cut: nobody takes what has come for all.
        """
        async with Tasks("download") as tasks, aclosing(pieces):
            leaving = tasks.start("reader gone", self._leave_when_gone(source))
            try:
                async for piece in pieces:
                    # uvicorn takes views as it takes bytes; the types of ASGI know bytes alone.
                    body = cast("bytes", piece)
                    await self._send({"type": "http.response.body", "body": body, "more_body": True})
            except OutriderError as error:
                if leaving.done():
                    return "reader_gone"
                log.info("a download is cut off", code=error.code, reason=error.detail)
                self._cut()
                await leaving
                return error.code
            if leaving.done():
                return "reader_gone"
        await self.end()
        return ""

    def _cut(self) -> None:
        extensions = self._scope["extensions"] or {}
        cast("Callable[[], None]", extensions[ABORT]["now"])()

    async def _leave_when_gone(self, source: Leaving) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of a request's body
        source.leave()


class Download(Protocol):
    """An answer that is made of what a host sends."""

    async def answer(self, exchange: Exchange) -> None:
        """Send it."""
        ...


class DownloadAnswer(Response[bytes]):
    """Hands a download to the framework."""

    def __init__(self, download: Download) -> None:
        super().__init__(b"")
        self._download = download

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """Return what sends it."""
        return _Sending(self._download)


class _Sending(ASGIResponse):
    def __init__(self, download: Download) -> None:
        super().__init__()
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._download.answer(Exchange(scope, receive, send))
