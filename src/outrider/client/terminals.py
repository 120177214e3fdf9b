"""Terminals of hosts, open and past. `outrider.client.terminal` opens one."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.client.asking import PAGE, Asking, each, pages, part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PATH: Final = "/api/terminals"


class TerminalFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal. Times are unix seconds; `detached` None while somebody looks at it."""

    id: str
    agent_id: str
    user_id: str = ""
    username: str = ""
    address: str = ""
    account: str = ""
    command: str | None = None
    started: float = 0.0
    detached: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    recorded: bool = False


class Terminals(Asking):
    """The methods about terminals; `outrider.client.terminal` opens one."""

    async def terminals(
        self,
        *,
        agent: str | None = None,
        user: str | None = None,
        open: bool | None = None,  # noqa: A002 - the word of the API
        limit: int | None = None,
    ) -> AsyncGenerator[TerminalFacts, None]:
        """Terminals, newest first; ours alone unless we are an administrator. `agent` is an id."""
        query = {"agent": agent, "user": user, "open": open, "limit": min(limit or PAGE, PAGE)}
        left = limit
        async with aclosing(each(pages(self, _PATH, TerminalFacts, query))) as found:
            async for terminal in found:
                if left is not None:
                    if left <= 0:
                        return
                    left -= 1
                yield terminal

    async def end_terminal(self, terminal_id: str) -> None:
        """End a terminal. Raises NotFound, or Conflict when it is over."""
        await self._transport().fetch("DELETE", f"{_PATH}/{part(terminal_id)}")

    async def recording(self, terminal_id: str) -> AsyncGenerator[bytes, None]:
        """A terminal's recording as asciicast, in pieces of any size. Raises NotFound where there is none."""
        path = f"{_PATH}/{part(terminal_id)}/recording"
        async with aclosing(self._transport().download(path)) as pieces:
            async for piece in pieces:
                yield piece
