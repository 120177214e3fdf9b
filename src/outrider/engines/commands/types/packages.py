"""`packages`: this host's packages, as one JSON object on stdout."""

from functools import partial

from outrider.domain.command_types.packages import PackagesParams
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.listing import listing
from outrider.engines.commands.package_tools import tools_of
from outrider.engines.commands.steps import Answer, CannotDo, Steps, steps_of


def begin(assignment: Assignment[PackagesParams]) -> Execution:
    """Prepare the question."""
    params = assignment.params
    return steps_of(assignment, partial(_list, params), timeout=params.timeout)


async def _list(params: PackagesParams, steps: Steps) -> Answer:
    tools = await steps.in_thread(partial(tools_of, steps.root))
    if tools is None:
        raise CannotDo(
            "this host keeps no packages by dpkg, rpm or apk, so they can't be listed from here; a shell"
            " command can use the tool it has"
        )
    if params.show == "installed":
        found = await tools.installed(steps)
    else:
        found = await tools.upgradable(steps, params.refresh)
    text = (params.match or "").casefold()
    chosen = sorted(
        (each for each in found if text in each.name.casefold()), key=lambda each: (each.name, each.arch)
    )
    facts = {"tool": tools.name, "show": params.show, "count": len(chosen)}
    return Answer(stdout=listing(facts, "packages", chosen))
