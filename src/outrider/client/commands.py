"""One command to one agent: sent, followed, shown, cancelled."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from outrider.client.answers import (
    Command,
    CommandType,
    Missed,
    Output,
    Progress,
    Reconnecting,
    Sent,
    StateChange,
)
from outrider.client.asking import STREAM_PATIENCE, Asking, part
from outrider.client.transport import Interruption

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


class Commands(Asking):
    """The methods about an agent's commands."""

    async def send(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send a command; the answer means that it is on the center's disk.

        It is sent under an idempotency key (made here unless given), so that a repeated request, ours or
        yours within 24 hours, never makes a second command.
        """
        body: dict[str, Any] = {"type": kind, "params": dict(params or {})}
        if ttl is not None:
            body["ttl"] = ttl
        return await self._transport().ask(
            "POST",
            _commands(agent_id),
            Sent,
            body=body,
            headers={"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)},
            repeatable=True,
        )

    async def commands(self, agent_id: str) -> list[Command]:
        """The agent's last 100 commands, newest first."""
        return await self._transport().ask("GET", _commands(agent_id), list[Command], repeatable=True)

    async def command(self, agent_id: str, command_id: str) -> Command:
        """One command as it stands. Raises NotFound."""
        return await self._transport().ask("GET", _command(agent_id, command_id), Command, repeatable=True)

    async def cancel(self, agent_id: str, command_id: str) -> Command:
        """Ask for a command to be cancelled; one that has ended stays as it is."""
        return await self._transport().ask(
            "POST", _command(agent_id, command_id) + "/cancel", Command, repeatable=True
        )

    async def follow(
        self, agent_id: str, command_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> AsyncGenerator[Progress, None]:
        """Follow a command from its first output: pieces and changes as they come, last the Command itself.

        A broken connection is taken up again where it broke, with a Reconnecting before each try. Raises
        CenterAway after `patience` seconds without a word (None: never). To leave early, use
        `contextlib.aclosing`.
        """
        path = _command(agent_id, command_id) + "/stream"
        async with aclosing(self._transport().stream(path, patience=patience)) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    yield Reconnecting(reason=event.reason, seconds=event.seconds)
                    continue
                match event.event:
                    case "output":
                        yield self._transport().decode(event.data, Output, path)
                    case "missed":
                        yield self._transport().decode(event.data, Missed, path)
                    case "state":
                        yield self._transport().decode(event.data, StateChange, path)
                    case "result":
                        yield self._transport().decode(event.data, Command, path)
                        return
                    case _:
                        # A newer center may say more than we know.
                        continue

    async def run(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
    ) -> Command:
        """Send a command and return it once it has ended, however long that takes."""
        sent = await self.send(agent_id, kind, params, ttl=ttl)
        async with aclosing(self.follow(agent_id, sent.command_id, patience=None)) as progress:
            async for step in progress:
                if isinstance(step, Command):
                    return step
        raise AssertionError("following a command ends with its result")

    async def command_types(self) -> list[CommandType]:
        """The command types this center knows."""
        return await self._transport().ask(
            "GET", "/api/agents/command-types", list[CommandType], repeatable=True
        )


def _commands(agent_id: str) -> str:
    return f"/api/agents/{part(agent_id)}/commands"


def _command(agent_id: str, command_id: str) -> str:
    return f"{_commands(agent_id)}/{part(command_id)}"
