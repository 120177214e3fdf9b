"""What one image of the agent's process tells the next about a command that runs on."""

import msgspec

from outrider.domain.command_states import CommandState
from outrider.domain.ids import CommandId
from outrider.engines.commands.leftovers import ProcessRecord


class ProcessHandover(msgspec.Struct, frozen=True, kw_only=True):
    """A running command between two images of one agent process (same pid, so it stays our child).

    The descriptors are inherited as they are; None for a pipe that has come to its end. At unix time `at`,
    `remaining` seconds of `timeout` were left. `stop` is the final state that was decided already and `told`
    whether TERM was sent for it. Once the main process was `reaped`, `exit_status` is its exit code or minus
    the signal's number (None when it was lost). `notes` are sentences for the outcome's reason.
    """

    record: ProcessRecord
    stdout_fd: int | None
    stderr_fd: int | None
    started: float
    timeout: float
    remaining: float
    at: float
    stop: CommandState | None = None
    stop_reason: str = ""
    told: bool = False
    reaped: bool = False
    exit_status: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def command_id(self) -> CommandId:
        """The command."""
        return self.record.command_id
