"""What becomes of a host's commands when the host comes back."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from outrider.domain.command_states import AT_HOST, CommandState
from outrider.domain.ids import CommandId


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A command that has not ended, as the center has it."""

    id: CommandId
    state: CommandState
    was_started: bool
    cancel_wanted: bool


class Redelivery(NamedTuple):
    """The plan: what to send again, what to cancel, what is found again, what is given up."""

    execute: tuple[CommandId, ...]
    cancel: tuple[CommandId, ...]
    found: dict[CommandId, CommandState]
    interrupted: tuple[CommandId, ...]


def plan(waiting: Iterable[Waiting], held: Collection[CommandId], *, keeps_record: bool) -> Redelivery:
    """Decide for each command that has not ended, given what the host says it holds.

    What the host holds it will report on. What it does not hold is sent again when the host's record is
    whole: it never took the command, or it has run it before and answers so. Without that record nobody
    can tell, so a command that may have run is not run again.
    """
    execute: list[CommandId] = []
    cancel: list[CommandId] = []
    found: dict[CommandId, CommandState] = {}
    interrupted: list[CommandId] = []
    known = frozenset(held)
    for command in waiting:
        at_host = command.state in AT_HOST
        if command.id not in known and at_host and not keeps_record:
            interrupted.append(command.id)
            continue
        if command.id not in known:
            execute.append(command.id)
        if command.state in (CommandState.QUEUED, CommandState.UNKNOWN):
            found[command.id] = CommandState.RUNNING if command.was_started else CommandState.SENT
        if command.cancel_wanted:
            cancel.append(command.id)
    return Redelivery(tuple(execute), tuple(cancel), found, tuple(interrupted))
