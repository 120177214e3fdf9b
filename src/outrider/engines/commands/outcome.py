"""How a command ended, as the host saw it."""

from dataclasses import dataclass

from outrider.domain.command_states import CommandState


class ToldLater(Exception):
    """What became of a command is for the next start of the agent to tell: it is kept as it is till then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The one end of a command.

    `state` is final. A process that ended by itself gives `exit_code`, one that was killed `signal`; a
    command without a process gives exit code 0 when it did its work and 1 when it could not. `reason` is for
    people: why the command is not `succeeded` (and what to do), and what the host had to do about things the
    command left behind.
    """

    state: CommandState
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
