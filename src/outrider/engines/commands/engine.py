"""The front door: commands by their type's name."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from outrider.domain.command_types import parse_params
from outrider.domain.errors import Invalid
from outrider.domain.ids import CommandId, has_shape
from outrider.engines.commands import reboots as rebooting
from outrider.engines.commands import updates as updating
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.execution import Execution, ProcessExecution
from outrider.engines.commands.handover import ProcessHandover
from outrider.engines.commands.listing import Listed
from outrider.engines.commands.looks import look
from outrider.engines.commands.script_folder import sweep_scripts
from outrider.engines.commands.surroundings import Surroundings
from outrider.engines.commands.types import (
    kill,
    packages,
    ping,
    processes,
    reboot,
    script,
    service,
    services,
    shell,
    system_info,
    update_agent,
)
from outrider.kit.clock import Clock

Begin = Callable[[Assignment[Any]], Execution]

BEGIN: Final[Mapping[str, Begin]] = {
    "kill": kill.begin,
    "packages": packages.begin,
    "ping": ping.begin,
    "processes": processes.begin,
    "reboot": reboot.begin,
    "script": script.begin,
    "service": service.begin,
    "services": services.begin,
    "shell": shell.begin,
    "system_info": system_info.begin,
    "update_agent": update_agent.begin,
}
"""How each type of `domain.command_types` is done on a host."""


class CommandEngine:
    """Begins commands and takes over those that run on through a restart in place.

    `scratch` is a private folder of the agent for scripts. `base_environment` is added to every command's
    clean environment. `cgroups` comes from `TaskCgroups.find_delegated`. `root` is where this host's own
    files are looked for; without `reboots` none is ordered, without `updates` none is made.
    """

    def __init__(
        self,
        scratch: Path,
        clock: Clock,
        *,
        agent_version: str,
        base_environment: Mapping[str, str] | None = None,
        cgroups: TaskCgroups | None = None,
        reboots: rebooting.Reboots | None = None,
        updates: updating.Updates | None = None,
        root: Path = Path("/"),
    ) -> None:
        self._surroundings = Surroundings(
            scratch=scratch,
            clock=clock,
            base_environment=dict(base_environment or {}),
            cgroups=cgroups,
            agent_version=agent_version,
            reboots=reboots,
            updates=updates,
            root=root,
        )

    def begin(
        self,
        command_id: CommandId,
        type: str,  # noqa: A002 - the wire's word
        params: Mapping[str, Any],
        capture: Capture,
    ) -> Execution:
        """Prepare a command; nothing happens before `run`.

        The parameters are checked again here: the host does not take the center's word. Raises Invalid (a
        malformed id), UnknownType or BadParams.
        """
        if not has_shape(command_id, "cmd_"):
            raise Invalid(f"{command_id[:80]!r} is not a command id.")
        parsed = parse_params(type, params)
        assignment = Assignment(
            command_id=command_id, params=parsed, capture=capture, surroundings=self._surroundings
        )
        return BEGIN[type](assignment)

    async def look(
        self,
        type: str,  # noqa: A002 - the wire's word
        params: Mapping[str, Any],
    ) -> Listed:
        """Answer what a command of a type that only looks would answer, and keep nothing of it.

        Raises UnknownType, BadParams, and Conflict where this host can't be looked at like that.
        """
        return await look(type, params, self._surroundings)

    def take_over(self, handover: ProcessHandover, capture: Capture) -> ProcessExecution:
        """Go on with a command that the image before this one has handed over."""
        return ProcessExecution.take_over(handover, capture, self._surroundings)

    def resume(self, command_id: CommandId, kept: bytes, capture: Capture) -> Execution | None:
        """Go on with a command that outlives an agent, from what it had written down; None for any other."""
        if ordered := rebooting.mark_of(kept):
            return reboot.RebootExecution.resume(command_id, ordered, capture, self._surroundings)
        if proposed := updating.mark_of(kept):
            return update_agent.UpdateExecution.resume(command_id, proposed, capture, self._surroundings)
        return None

    def sweep(self, keep: Collection[CommandId] = ()) -> None:
        """Remove scripts and cgroups that a killed agent left, but those of the commands in `keep`.

        Blocks. Called once at start-up, after the leftovers were ended.
        """
        sweep_scripts(self._surroundings.scratch, keep)
        if self._surroundings.cgroups is not None:
            self._surroundings.cgroups.sweep()
