"""`system_info`: what this host is, as one JSON object on stdout."""

from functools import partial

import msgspec

from outrider.domain.command_types.system_info import SystemInfoParams
from outrider.engines.commands.answer import AnswerExecution
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.telemetry.inventory import read_inventory


def begin(assignment: Assignment[SystemInfoParams]) -> Execution:
    """Prepare the look at the host."""
    return AnswerExecution(
        partial(_describe, assignment.surroundings.agent_version),
        assignment.capture,
        assignment.surroundings.clock,
    )


def _describe(agent_version: str) -> bytes:
    return msgspec.json.format(msgspec.json.encode(read_inventory(agent_version)), indent=2) + b"\n"
