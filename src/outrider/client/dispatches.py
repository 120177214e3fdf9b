"""One command to many agents: previewed, sent, followed, cancelled, sent again where it failed."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.answers import Agent, Command, Missed, Output, Reconnecting
from outrider.client.asking import PAGE, STREAM_PATIENCE, Asking, each, pages, part, said
from outrider.client.transport import Interruption
from outrider.domain.ids import AgentId, CommandId

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


class TargetPreview(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a target means now: how many, in which status, and the first of them."""

    count: int
    by_status: dict[str, int] = {}
    agents: list[Agent] = []


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """An agent whose command has not ended, and the state of that command."""

    agent_id: AgentId
    label: str = ""
    status: str = ""


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """A command to many agents. `counts` says how many of its commands are in which state.

    `unanswered` lists the first of those that have not ended.
    """

    id: str
    target: str = ""
    type: str = ""
    params: dict[str, Any] = {}
    state: str
    counts: dict[str, int] = {}
    total: int = 0
    unanswered: list[Unanswered] = []
    concurrency: int | None = None
    max_failures: int | str | None = None
    ttl: float | None = None
    offline: str | None = None
    reason: str | None = None
    created: float | None = None
    created_by: str | None = None
    finished: float | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will come of it."""
        return self.finished is not None


class DispatchCommand(Command, frozen=True, kw_only=True):
    """One agent's command of a dispatch."""

    agent_id: AgentId
    label: str = ""
    hostname: str = ""


class DispatchOutput(Output, frozen=True, kw_only=True):
    """A piece of one agent's output."""

    agent_id: AgentId
    command_id: CommandId


class DispatchMissed(Missed, frozen=True, kw_only=True):
    """A part of one agent's output that this reader was too slow for, or that nobody kept."""

    agent_id: AgentId
    command_id: CommandId


class DispatchStep(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's command has come into another state."""

    agent_id: AgentId
    command_id: CommandId | None = None
    label: str = ""
    status: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None


class DispatchState(msgspec.Struct, frozen=True, kw_only=True):
    """How the whole of it stands now."""

    state: str
    counts: dict[str, int] = {}
    total: int = 0


DispatchProgress = DispatchOutput | DispatchMissed | DispatchStep | DispatchState | Reconnecting | Dispatch
"""What following a dispatch gives: pieces and changes as they come, and last the dispatch itself."""

_EVENTS: Final[dict[str, Any]] = {
    "output": DispatchOutput,
    "missed": DispatchMissed,
    "command": DispatchStep,
    "state": DispatchState,
    "result": Dispatch,
}
_PATH: Final = "/api/dispatches"


class Dispatches(Asking):
    """The methods about targets and dispatches."""

    async def preview_target(self, target: str, *, limit: int | None = None) -> TargetPreview:
        """Say whom a target means now. Raises InvalidTarget, which points at the mistake."""
        body = {"target": target, "limit": msgspec.UNSET if limit is None else limit}
        return await self._transport().ask(
            "POST", "/api/targets/preview", TargetPreview, body=said(body), repeatable=True
        )

    async def dispatch(
        self,
        target: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        concurrency: int | None = None,
        max_failures: int | str | None = None,
        ttl: float | None = None,
        offline: str | None = None,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Send one command to all agents that `target` means; the answer means that it is on disk.

        `concurrency` at a time; no more are begun after `max_failures` (a number, or a share such as "10%").
        `offline` says whether hosts that are away now get it later (`wait`) or not at all (`skip`). It is
        sent under an idempotency key (made here unless given), so that a repeated request never makes a
        second one. Raises InvalidTarget, and Invalid for a target that means nobody.
        """
        values: dict[str, Any] = {
            "concurrency": concurrency,
            "max_failures": max_failures,
            "ttl": ttl,
            "offline": offline,
        }
        body = {"target": target, "type": kind, "params": dict(params or {})}
        body |= {name: value for name, value in values.items() if value is not None}
        return await self._transport().ask(
            "POST",
            _PATH,
            Dispatch,
            body=body,
            headers={"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)},
            repeatable=True,
        )

    def dispatches(self, *, state: str | None = None, page: int = PAGE) -> AsyncGenerator[Dispatch, None]:
        """The dispatches, newest first, page by page as they are read."""
        return each(pages(self, _PATH, Dispatch, {"state": state, "limit": page}))

    async def dispatch_facts(self, dispatch_id: str) -> Dispatch:
        """One dispatch as it stands. Raises NotFound."""
        return await self._transport().ask("GET", _dispatch(dispatch_id), Dispatch, repeatable=True)

    def dispatch_commands(
        self, dispatch_id: str, *, state: str | None = None, page: int = PAGE
    ) -> AsyncGenerator[DispatchCommand, None]:
        """The commands of a dispatch with what came of them, page by page as they are read."""
        path = _dispatch(dispatch_id) + "/commands"
        return each(pages(self, path, DispatchCommand, {"state": state, "limit": page}))

    async def cancel_dispatch(self, dispatch_id: str) -> Dispatch:
        """Begin no more of it, and ask for what runs to be ended."""
        return await self._transport().ask(
            "POST", _dispatch(dispatch_id) + "/cancel", Dispatch, repeatable=True
        )

    async def retry_dispatch(self, dispatch_id: str, *, idempotency_key: str | None = None) -> Dispatch:
        """Send it again to the agents where it did not succeed, as a new dispatch."""
        return await self._transport().ask(
            "POST",
            _dispatch(dispatch_id) + "/retry",
            Dispatch,
            headers={"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)},
            repeatable=True,
        )

    async def follow_dispatch(
        self, dispatch_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> AsyncGenerator[DispatchProgress, None]:
        """Follow a dispatch from its beginning: pieces and changes as they come, last the Dispatch itself.

        As `follow` does for one command: a broken connection is taken up where it broke.
        """
        path = _dispatch(dispatch_id) + "/stream"
        transport = self._transport()
        async with aclosing(transport.stream(path, patience=patience)) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    yield Reconnecting(reason=event.reason, seconds=event.seconds)
                elif kind := _EVENTS.get(event.event):
                    yield (step := transport.decode(event.data, kind, path))
                    if isinstance(step, Dispatch):
                        return


def _dispatch(dispatch_id: str) -> str:
    return f"{_PATH}/{part(dispatch_id)}"
