"""`system_info`: what this host is, as one JSON object on stdout."""

from functools import partial

import msgspec

from outrider.domain.command_types.system_info import SystemInfoParams
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.steps import Answer, Steps, steps_of
from outrider.engines.telemetry.inventory import read_inventory


def begin(assignment: Assignment[SystemInfoParams]) -> Execution:
    """Prepare the look at the host."""
    return steps_of(assignment, partial(_describe, assignment.surroundings.agent_version))


async def _describe(agent_version: str, steps: Steps) -> Answer:
    inventory = await steps.in_thread(partial(read_inventory, agent_version))
    return Answer(stdout=msgspec.json.format(msgspec.json.encode(inventory), indent=2) + b"\n")
