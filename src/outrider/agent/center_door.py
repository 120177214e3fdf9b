"""Connections to the center: its addresses, the key that is shown, and the authority that is trusted."""

import ssl
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from outrider.agent import trust
from outrider.agent.answers import AnswerTooLong, read_body
from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.agent.lane import LaneDoor
from outrider.agent.reports import ReportRefused
from outrider.kit import logs
from outrider.protocol.messages import MAX_FRAME
from outrider.protocol.streams import MAX_STREAM_FRAME

_CONNECT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 2.0
_REPORT_SECONDS: Final = 30.0
_MAX_REPORT_ANSWER: Final = 16 * 1024 * 1024
_OK: Final = 200
_MAX_CA: Final = 64 * 1024


class CenterDoor:
    """Dials the center as one enrolled agent; an async context manager."""

    def __init__(self, record: EnrolmentRecord, center_ca: Path) -> None:
        """`center_ca` is the file with the pinned authority; without one the system's are trusted."""
        self._url = record.center_url.rstrip("/")
        self._headers = {"X-Agent-Id": record.agent_id or "", "X-Agent-Key": record.agent_key}
        self._center_ca = center_ca
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        """Prepare; nothing is dialled yet. Raises OSError or ssl.SSLError for a broken authority file."""
        connector = context = None
        if self._url.startswith("https:"):
            authority = self._center_ca.read_bytes()[:_MAX_CA] if self._center_ca.exists() else None
            context = trust.client_context(authority)
            connector = aiohttp.TCPConnector(ssl=context)
        self._context = context
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def link(self) -> aiohttp.ClientWebSocketResponse:
        """Dial the link. Raises aiohttp.ClientError or OSError."""
        return await self._dial("/api/agents/link", MAX_FRAME)

    async def stream(self) -> aiohttp.ClientWebSocketResponse:
        """Dial a stream. Raises aiohttp.ClientError or OSError."""
        return await self._dial("/api/agents/streams", MAX_STREAM_FRAME)

    @property
    def lanes(self) -> LaneDoor:
        """What dials lanes, from threads."""
        return LaneDoor(self._url, self._headers, self._context)

    async def report(self, body: bytes) -> bytes:
        """Post a report. Raises ReportRefused for any answer but 200, OSError or TimeoutError without one."""
        if self._session is None:
            raise RuntimeError("the door is not open")
        try:
            async with self._session.post(
                f"{self._url}/api/agents/{self._headers['X-Agent-Id']}/report",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=_REPORT_SECONDS),
                allow_redirects=False,
            ) as response:
                if response.status != _OK:
                    raise ReportRefused(f"The center answered a report with HTTP {response.status}.")
                return await read_body(response, _MAX_REPORT_ANSWER)
        except (aiohttp.ClientError, AnswerTooLong) as error:
            raise ReportRefused(f"A report did not get through: {logs.describe_error(error)}.") from error

    async def _dial(self, path: str, max_frame: int) -> aiohttp.ClientWebSocketResponse:
        if self._session is None:
            raise RuntimeError("the door is not open")
        # Frames are small or compressed already, and deflate would cost the center 200 KB a link.
        return await self._session.ws_connect(
            self._url + path,
            compress=0,
            max_msg_size=max_frame + 1,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
        )
