r"""A window on a terminal of a host.

async with open_terminal(center, agent_id, columns=100, rows=30) as window:
await window.type(b"uptime; exit\r")
while not isinstance(step := await window.next(), TerminalEnded | TerminalCut):
...  # bytes are what is shown
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from outrider.client.asking import given, part
from outrider.kit.websocket_frames import Closing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from outrider.client.center import AsyncCenter
    from outrider.client.websocket import WebSocket

_NORMAL: Final = 1000


class TerminalOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal is there. `offset` is the number, in its output, of the next byte."""

    terminal: str
    offset: int = 0
    account: str = ""


class TerminalOutputLost(msgspec.Struct, frozen=True, kw_only=True):
    """So many bytes that it showed while nobody looked are gone."""

    bytes: int


class TerminalEnded(msgspec.Struct, frozen=True, kw_only=True):
    """It is over: its shell's exit code or signal, and why, where that was not the shell's doing."""

    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""


class TerminalCut(msgspec.Struct, frozen=True, kw_only=True):
    """The window was closed, the terminal is still there; `again`: to be come back to within a minute."""

    reason: str = ""
    again: bool = True


TerminalStep = bytes | TerminalOpened | TerminalOutputLost | TerminalEnded | TerminalCut
"""What a window gives: bytes are what the terminal shows."""

_KINDS: Final[dict[str, Any]] = {
    "opened": TerminalOpened,
    "lost": TerminalOutputLost,
    "ended": TerminalEnded,
    "cut": TerminalCut,
}


class TerminalWindow:
    """A window on one terminal. One at a time may wait for the `next` step, one at a time may type."""

    def __init__(self, socket: WebSocket, decode: Any) -> None:
        """Made by `open_terminal`."""
        self._socket = socket
        self._decode = decode

    async def next(self) -> TerminalStep:
        """Give what comes next. After TerminalEnded or TerminalCut nothing does. Raises CenterAway."""
        while True:
            came = await self._socket.receive()
            if isinstance(came, Closing):
                return TerminalCut(reason=came.reason or f"the center closed the window ({came.code})")
            if not came.is_text:
                return came.data
            said: dict[str, msgspec.Raw] = self._decode(came.data, dict[str, msgspec.Raw])
            for name, content in said.items():
                if name in _KINDS:
                    step: TerminalStep = self._decode(content, _KINDS[name])
                    return step

    async def type(self, data: bytes) -> None:
        """Type something; waits while it can't be taken."""
        await self._socket.send_bytes(data)

    async def resize(self, columns: int, rows: int) -> None:
        """Say that the window has another size."""
        told = {"resize": {"cols": columns, "rows": rows}}
        await self._socket.send_text(msgspec.json.encode(told).decode())

    async def leave(self) -> None:
        """Leave the terminal for good: it ends on its host."""
        await self._socket.close(_NORMAL)


@asynccontextmanager
async def open_terminal(  # noqa: PLR0913 - one for each part of the query
    center: AsyncCenter,
    agent_id: str,
    *,
    columns: int = 80,
    rows: int = 24,
    term: str = "xterm-256color",
    user: str | None = None,
    command: str | None = None,
    terminal: str | None = None,
    seen: int | None = None,
) -> AsyncIterator[TerminalWindow]:
    """Open a terminal on a host; with `terminal`, come back to one of ours, seen up to the byte `seen`.

    Leaving the block without `leave` cuts the window: the terminal waits for a minute. Raises NotFound,
    HostAway, Forbidden, NoTerminal, TooManyTerminals, TerminalOver, and CenterAway, also from within the
    block.
    """
    query = given(
        {
            "cols": columns,
            "rows": rows,
            "term": term,
            "user": user,
            "command": command,
            "terminal": terminal,
            "seen": seen,
        }
    )
    path = f"/api/agents/{part(agent_id)}/terminal"
    transport = center._transport()  # noqa: SLF001 - a part of the client

    def decode(data: bytes, kind: Any) -> Any:
        return transport.decode(data, kind, path)

    async with transport.upgrade(f"{path}?{urlencode(query)}") as socket:
        yield TerminalWindow(socket, decode)
