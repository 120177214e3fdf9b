"""The methods of `outrider.client.terminals`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outrider.client.terminals import TerminalFacts


class WaitingTerminals(Waiting):
    """The methods of Terminals in `outrider.client.terminals`; they promise and raise the same."""

    def terminals(
        self,
        *,
        agent: str | None = None,
        user: str | None = None,
        open: bool | None = None,  # noqa: A002 - the word of the API
        limit: int | None = None,
    ) -> Iterator[TerminalFacts]:
        """Terminals, newest first; ours alone unless we are an administrator."""
        return self._each(self._center.terminals(agent=agent, user=user, open=open, limit=limit))

    def end_terminal(self, terminal_id: str) -> None:
        """End a terminal."""
        self._wait(self._center.end_terminal(terminal_id))

    def recording(self, terminal_id: str) -> Iterator[bytes]:
        """A terminal's recording as asciicast, in pieces of any size."""
        return self._each(self._center.recording(terminal_id))
