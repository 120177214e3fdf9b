"""`script`: a whole script in a private file, for an interpreter."""

from outrider.domain.command_types.script import ScriptParams
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution, ProcessExecution
from outrider.engines.commands.start import ProcessSpec


def begin(assignment: Assignment[ScriptParams]) -> Execution:
    """Prepare the interpreter; the file is written when it starts and removed when it has ended."""
    params = assignment.params
    spec = ProcessSpec(
        command_id=assignment.command_id,
        program=params.interpreter,
        arguments=tuple(params.args),
        script=params.body,
        params=params,
    )
    return ProcessExecution.of(spec, assignment.capture, assignment.surroundings)
