"""One command to many agents: previewed, sent, followed, cancelled, sent again where it failed."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.answers import Agent, Command, Missed, Output, Reconnecting
from outrider.client.asking import STREAM_PATIENCE, Asking, each, given, pages, part, said
from outrider.client.transport import Interruption
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, CommandId

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


class TargetPreview(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a target means now: how many, in which status, and the first of them."""

    count: int
    by_status: dict[str, int] = {}
    agents: list[Agent] = []
    #: The terms of the target that nobody fits, where it means nobody.
    unmatched: list[str] = []


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A host that has not answered: how its command stands, and whether the host is there (`host`).

    A `held` command waits for its turn.
    """

    agent_id: AgentId
    label: str = ""
    hostname: str = ""
    command_id: CommandId
    status: str
    held: bool = False
    host: str = ""


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A host that was left out because it was away."""

    agent_id: AgentId
    label: str = ""
    hostname: str = ""


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """A command to many hosts. Times are unix seconds.

    `state` is `running`, or the verdict: `succeeded`, `failed`, `stopped` (too many failed) or `cancelled`,
    though hosts may still be at work until it is `finished`. `counts` says how many commands are in which
    state; `held` of the queued ones wait for their turn. `unanswered` and `skipped_hosts` have the first 100,
    and are empty in a list of dispatches.
    """

    id: str
    target: str = ""
    type: str = ""
    params: dict[str, Any] = {}
    state: str
    counts: dict[str, int] = {}
    held: int = 0
    gone: int = 0
    total: int = 0
    skipped: int = 0
    unanswered: list[Unanswered] = []
    skipped_hosts: list[Skipped] = []
    concurrency: int | None = None
    max_failures: int | None = None
    offline: str | None = None
    created: float | None = None
    created_by: str | None = None
    expires: float | None = None
    retry_of: str | None = None
    cancelled_by: str | None = None
    finished: float | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will come of it."""
        return self.finished is not None


class DispatchCommand(Command, frozen=True, kw_only=True):
    """One host's command of a dispatch."""

    agent_id: AgentId
    label: str = ""
    hostname: str = ""

    @property
    def host_name(self) -> str:
        """What people call the host."""
        return self.label or self.hostname or self.agent_id


class DispatchOutput(Output, frozen=True, kw_only=True):
    """A piece of one host's output."""

    agent_id: AgentId
    command_id: CommandId
    label: str = ""
    hostname: str = ""

    @property
    def host_name(self) -> str:
        """What people call the host."""
        return self.label or self.hostname or self.agent_id


class DispatchMissed(Missed, frozen=True, kw_only=True):
    """A part of one host's output that is kept nowhere."""

    agent_id: AgentId
    command_id: CommandId


DispatchProgress = DispatchOutput | DispatchMissed | DispatchCommand | Dispatch | Reconnecting
"""What following a dispatch gives.

Pieces of output as they come; a DispatchCommand when a host's command has ended, with its kept output; a
Dispatch now and then that says how it stands, and last one that is final.
"""


# What a newer center says beyond these is passed over.
_EVENTS: Final[dict[str, Any]] = {
    "output": DispatchOutput,
    "missed": DispatchMissed,
    "command": DispatchCommand,
    "dispatch": Dispatch,
    "end": Dispatch,
}


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    commands: list[DispatchCommand]
    next: str | None = None


class _Gone(msgspec.Struct, frozen=True):
    detail: str = ""


_PATH: Final = "/api/dispatches"
OUTPUT_PAGE: Final = 50
"""Commands come with their kept output: few at a time."""


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

    async def update_agents(
        self,
        target: str,
        *,
        version: str = "",
        force: bool = False,
        concurrency: int | None = 5,
        max_failures: int | str | None = 0,
        offline: str | None = "skip",
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Update the agents of all hosts that `target` means, as a dispatch that rolls.

        `version` names one that the center keeps; else it is the one that the center offers. `force`: also
        where it runs already. The rest as in `dispatch`: five at a time, none more after a failure, and not
        for hosts that are away, unless told otherwise. Takes an administrator.
        """
        params = {"version": version, "force": force}
        return await self.dispatch(
            target,
            "update_agent",
            {name: value for name, value in params.items() if value},
            concurrency=concurrency,
            max_failures=max_failures,
            offline=offline,
            idempotency_key=idempotency_key,
        )

    def dispatches(self, *, state: str | None = None, page: int = 100) -> AsyncGenerator[Dispatch, None]:
        """The dispatches, newest first, page by page as they are read."""
        return each(pages(self, _PATH, Dispatch, {"state": state, "limit": page}))

    async def dispatch_facts(self, dispatch_id: str) -> Dispatch:
        """One dispatch as it stands. Raises NotFound."""
        return await self._transport().ask("GET", _dispatch(dispatch_id), Dispatch, repeatable=True)

    async def dispatch_commands(
        self, dispatch_id: str, *, state: str | None = None, page: int = OUTPUT_PAGE
    ) -> AsyncGenerator[DispatchCommand, None]:
        """The commands of a dispatch with what came of them, page by page as they are read."""
        path = _dispatch(dispatch_id) + "/commands"
        following: str | None = None
        while True:
            query = given({"state": state, "limit": page, "after": following})
            found = await self._transport().ask("GET", path, _Page, query=query, repeatable=True)
            for one in found.commands:
                yield one
            if found.next is None:
                return
            following = found.next

    async def cancel_dispatch(self, dispatch_id: str) -> Dispatch:
        """Begin no more of it, and ask for what runs to be ended."""
        return await self._transport().ask(
            "POST", _dispatch(dispatch_id) + "/cancel", Dispatch, repeatable=True
        )

    async def retry_dispatch(self, dispatch_id: str, *, idempotency_key: str | None = None) -> Dispatch:
        """Send it again to the hosts where it did not succeed, as a new dispatch. Raises Conflict."""
        return await self._transport().ask(
            "POST",
            _dispatch(dispatch_id) + "/retry",
            Dispatch,
            body={},
            headers={"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)},
            repeatable=True,
        )

    async def follow_dispatch(
        self, dispatch_id: str, *, live: bool = True, patience: float | None = STREAM_PATIENCE
    ) -> AsyncGenerator[DispatchProgress, None]:
        """Follow a dispatch from its beginning to its end; the last is a Dispatch that is final.

        Without `live` output comes with each host's end alone. A broken connection is taken up where it
        broke, with a Reconnecting before each try; what was told is not told again. Raises NotFound when it
        is gone, and CenterAway after `patience` seconds without a word (None: never). To leave early, use
        `contextlib.aclosing`.
        """
        path = f"{_dispatch(dispatch_id)}/stream?output={'live' if live else 'ends'}"
        told = Told()
        transport = self._transport()
        async with aclosing(transport.stream(path, patience=patience)) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    told.is_replayed = True
                    yield Reconnecting(reason=event.reason, seconds=event.seconds)
                    continue
                if event.event == "gone":
                    raise NotFound(transport.decode(event.data, _Gone, path).detail)
                if kind := _EVENTS.get(event.event):
                    step = told.news_in(transport.decode(event.data, kind, path))
                    if step is not None:
                        yield step
                if event.event == "end":
                    return


class Told:
    """What a reader of a dispatch was told: after a cut, hosts at work are told of from their beginning."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        #: Whether the connection was cut since: only then something comes twice.
        self.is_replayed = False
        self._ends: dict[tuple[str, str], int] = {}
        self._ended: set[str] = set()

    def news_in(self, step: DispatchProgress) -> DispatchProgress | None:
        """What of a step is new; None when nothing is."""
        match step:
            case DispatchOutput():
                return self._rest_of(step)
            case DispatchMissed():
                return step if self._is_new_gap(step) else None
            case DispatchCommand() if step.id in self._ended:
                return None
            case DispatchCommand():
                self._ended.add(step.id)
                return step
            case Dispatch() | Reconnecting():
                return step

    def _rest_of(self, piece: DispatchOutput) -> DispatchOutput | None:
        """What of a piece is new; None when nothing is."""
        key = (piece.command_id, piece.stream)
        data = piece.text.encode("utf-8", "surrogatepass")
        end = piece.offset + len(data)
        told = self._ends.get(key, 0)
        if self.is_replayed and piece.offset < told:
            if end <= told:
                return None
            text = data[told - piece.offset :].decode("utf-8", "replace")
            piece = msgspec.structs.replace(piece, offset=told, text=text)
        self._ends[key] = end
        return piece

    def _is_new_gap(self, missed: DispatchMissed) -> bool:
        """Tell whether a gap was not told before."""
        key = (missed.command_id, missed.stream)
        if self.is_replayed and missed.end <= self._ends.get(key, 0):
            return False
        self._ends[key] = missed.end
        return True


def _dispatch(dispatch_id: str) -> str:
    return f"{_PATH}/{part(dispatch_id)}"
