"""Connections to the center: its addresses, the key that is shown, and the authority that is trusted."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import yarl

from outrider.agent import trust
from outrider.agent.answers import AnswerTooLong, read_body
from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.agent.inward import Inward
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the center is dialled: its address, and the rest as it stands on this host.

    `source` is the address to dial from, empty for what the routes say; `authorities` a folder with
    certificates of those who vouch for the center beside the pinned ones, empty for none.
    """

    url: str
    source: str = ""
    authorities: str = ""


class CenterDoor:
    """Connects to the center as one enrolled agent; an async context manager."""

    def __init__(
        self,
        record: EnrolmentRecord,
        center_ca: Path,
        way: Way | None = None,
        *,
        inward: Inward | None = None,
    ) -> None:
        """`center_ca` is the file with the pinned authority; without one the system's are trusted.

        With `inward` nothing is dialled: the center does that (listen mode).
        """
        self._way = way or Way(url=record.center_url)
        self._inward = inward
        self._headers = {"X-Agent-Id": record.agent_id or "", "X-Agent-Key": record.agent_key}
        self._center_ca = center_ca
        self._session: aiohttp.ClientSession | None = None
        self._more: aiohttp.ClientSession | None = None
        connect = None if inward is None else inward.connect()
        self.lanes = LaneDoor(self._url, self._headers, None, connect)
        """What dials lanes, from threads."""

    async def __aenter__(self) -> Self:
        """Prepare; nothing is dialled yet. Raises OSError, ssl.SSLError for a broken authority file."""
        await self.go_by(self._way)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""
        await _close(self._session, self._more)
        if self._inward is not None:
            self._inward.rest()

    async def go_by(self, way: Way) -> None:
        """Dial this way from now on, and cut what was dialled before.

        Raises OSError (also ssl.SSLError) for certificates that can't be read, in listen mode
        CenterUrlRefused, and goes on as before.
        """
        context = None
        if way.url.startswith("https:"):
            context = await asyncio.to_thread(trust.known_context, self._center_ca, way.authorities)
        source = (way.source, 0) if way.source else None
        first, more = self._connectors(way, context, source)
        before, self._way = (self._session, self._more), way
        self._session, self._more = self._open(first), None if more is None else self._open(more)
        self.lanes.go_by(self._url, context, source)
        await _close(*before)

    def _connectors(
        self, way: Way, context: ssl.SSLContext | None, source: tuple[str, int] | None
    ) -> tuple[aiohttp.BaseConnector, aiohttp.BaseConnector | None]:
        """Make what connects, and in listen mode what connects beside an open link."""
        if self._inward is None:
            return aiohttp.TCPConnector(ssl=True if context is None else context, local_addr=source), None
        self._inward.trust(way.url, context)
        return self._inward.first(), self._inward.more()

    def _open(self, connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers)

    @property
    def is_near(self) -> bool:
        """Whether the center is on this very host, as far as its address tells."""
        return trust.is_loopback(yarl.URL(self._url).host or "")

    @property
    def _url(self) -> str:
        return self._way.url.rstrip("/")

    async def link(self) -> aiohttp.ClientWebSocketResponse:
        """Dial the link. Raises aiohttp.ClientError or OSError."""
        return await self._dial(self._session, "/api/agents/link", MAX_FRAME)

    async def stream(self) -> aiohttp.ClientWebSocketResponse:
        """Dial a stream. Raises aiohttp.ClientError or OSError."""
        return await self._dial(self._more or self._session, "/api/agents/streams", MAX_STREAM_FRAME)

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

    async def _dial(
        self, session: aiohttp.ClientSession | None, path: str, max_frame: int
    ) -> aiohttp.ClientWebSocketResponse:
        if session is None:
            raise RuntimeError("the door is not open")
        # Frames are small or compressed already, and deflate would cost the center 200 KB a link.
        return await session.ws_connect(
            self._url + path,
            compress=0,
            max_msg_size=max_frame + 1,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
        )


async def _close(*sessions: aiohttp.ClientSession | None) -> None:
    for session in sessions:
        if session is not None:
            await session.close()
