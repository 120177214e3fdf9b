"""`shell`: a line for `/bin/sh -c`."""

from typing import Final

from outrider.domain.command_types.shell import ShellParams
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution, ProcessExecution
from outrider.engines.commands.start import ProcessSpec

_SHELL: Final = "/bin/sh"
_MAX_ARGUMENT: Final = 32 * 4096
"""The longest single argument the kernel takes, its end mark included (MAX_ARG_STRLEN)."""


def begin(assignment: Assignment[ShellParams]) -> Execution:
    """Prepare the shell. A line too long for an argument is given to it as a file."""
    params = assignment.params
    if len(params.command.encode()) < _MAX_ARGUMENT:
        spec = ProcessSpec(
            command_id=assignment.command_id, program=_SHELL, arguments=("-c", params.command), params=params
        )
    else:
        spec = ProcessSpec(
            command_id=assignment.command_id, program=_SHELL, script=params.command, params=params
        )
    return ProcessExecution.of(spec, assignment.capture, assignment.surroundings)
