"""`services`: the services of this host, as one JSON object on stdout."""

from collections.abc import Iterable
from functools import partial
from typing import Final

from outrider.domain.command_types.services import ServicesParams
from outrider.domain.looks import Service
from outrider.engines.commands import systemd
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.listing import Listed
from outrider.engines.commands.steps import Answer, Steps, steps_of

_ACTIVE: Final = frozenset({"active", "activating", "deactivating", "reloading"})


def begin(assignment: Assignment[ServicesParams]) -> Execution:
    """Prepare the question."""
    return steps_of(assignment, partial(_list, assignment.params))


async def _list(params: ServicesParams, steps: Steps) -> Answer:
    return Answer(stdout=(await look(params, steps)).told())


async def look(params: ServicesParams, steps: Steps) -> Listed:
    """Ask systemd for the services. Raises CannotDo where it does not run this host."""
    systemd.require(steps, "its services can't be listed")
    loaded = await systemd.show(steps, "*.service")
    found = chosen_of(systemd.joined(loaded, await systemd.unit_files(steps)), params)
    return Listed({"count": len(found)}, "services", found)


def chosen_of(services: Iterable[Service], params: ServicesParams) -> list[Service]:
    """Choose the services that `params` mean. What others only name, and is not there, is none."""
    return [each for each in services if each.load != "not-found" and _fits(each, params)]


def _fits(each: Service, params: ServicesParams) -> bool:
    if params.state != "any":
        state = "active" if each.active in _ACTIVE else each.active
        if state != params.state:
            return False
    if params.match is None:
        return True
    text = params.match.casefold()
    return text in each.name.casefold() or text in each.description.casefold()
