"""The methods of `outrider.client.commands`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outrider.client.asking import STREAM_PATIENCE
from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outrider.client.answers import Command, CommandType, Progress, Sent


class WaitingCommands(Waiting):
    """The methods of Commands in `outrider.client.commands`; they promise and raise the same."""

    def send(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send a command; the answer means that it is on the center's disk."""
        return self._wait(self._center.send(agent_id, kind, params, ttl=ttl, idempotency_key=idempotency_key))

    def commands(self, agent_id: str) -> list[Command]:
        """The agent's last 100 commands, newest first."""
        return self._wait(self._center.commands(agent_id))

    def command(self, agent_id: str, command_id: str) -> Command:
        """One command as it stands. Raises NotFound."""
        return self._wait(self._center.command(agent_id, command_id))

    def cancel(self, agent_id: str, command_id: str) -> Command:
        """Ask for a command to be cancelled; one that has ended stays as it is."""
        return self._wait(self._center.cancel(agent_id, command_id))

    def follow(
        self, agent_id: str, command_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> Iterator[Progress]:
        """Follow a command from its first output: pieces and changes, last the Command itself."""
        return self._each(self._center.follow(agent_id, command_id, patience=patience))

    def run(
        self, agent_id: str, kind: str, params: Mapping[str, Any] | None = None, *, ttl: float | None = None
    ) -> Command:
        """Send a command and return it once it has ended, however long that takes."""
        return self._wait(self._center.run(agent_id, kind, params, ttl=ttl))

    def command_types(self) -> list[CommandType]:
        """The command types this center knows."""
        return self._wait(self._center.command_types())
