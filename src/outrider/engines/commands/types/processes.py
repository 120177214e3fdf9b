"""`processes`: what runs on this host, as one JSON object on stdout."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from outrider.domain.command_types.processes import Order, ProcessesParams
from outrider.domain.looks import Process
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.listing import Listed
from outrider.engines.commands.process_table import (
    Entry,
    Since,
    Users,
    hidden_here,
    read_entries,
)
from outrider.engines.commands.steps import Answer, Steps, steps_of

_HIDDEN: Final = "processes of other users are hidden from the agent"

_KEYS: Final[Mapping[Order, Callable[[Process], tuple[float | str, int]]]] = {
    "cpu": lambda each: (-each.cpu_percent, each.pid),
    "memory": lambda each: (-each.rss_bytes, each.pid),
    "started": lambda each: (-each.start_ticks, each.pid),
    "name": lambda each: (each.name.casefold(), each.pid),
    "pid": lambda each: (0, each.pid),
}


def begin(assignment: Assignment[ProcessesParams]) -> Execution:
    """Prepare the look at the processes."""
    return steps_of(assignment, partial(_list, assignment.params))


async def _list(params: ProcessesParams, steps: Steps) -> Answer:
    return Answer(stdout=(await look(params, steps)).told())


async def look(params: ProcessesParams, steps: Steps) -> Listed:
    """Look at what runs here."""
    before: Mapping[int, Entry] = {}
    begun = steps.clock.monotonic()
    if params.sample > 0:
        before = await steps.in_thread(read_entries)
        await steps.sleep(params.sample)
    entries = await steps.in_thread(read_entries)
    seconds = steps.clock.monotonic() - begun
    describe = partial(_describe, entries, before, seconds, steps.clock.time())
    hidden = await steps.in_thread(hidden_here)
    chosen = chosen_of(await steps.in_thread(describe), params)
    facts: dict[str, object] = {"count": len(chosen)}
    if hidden:
        facts["hidden"] = f"{_HIDDEN} ({hidden})"
        steps.notes.append(f"{_HIDDEN} ({hidden}), and are not in the list")
    return Listed(facts, "processes", chosen[: params.limit])


def _describe(
    entries: Mapping[int, Entry], before: Mapping[int, Entry], seconds: float, now: float
) -> list[Process]:
    since, users = Since.here(now), Users()
    return [
        since.describe(entry, before.get(entry.pid), seconds, now=now, user=users.name(entry.uid))
        for entry in entries.values()
    ]


def chosen_of(processes: Iterable[Process], params: ProcessesParams) -> list[Process]:
    """Choose the processes that `params` mean, in the order they ask for; all of them, whatever the limit."""
    return sorted((each for each in processes if _fits(each, params)), key=_KEYS[params.sort])


def _fits(each: Process, params: ProcessesParams) -> bool:
    if params.name is not None and each.name != params.name:
        return False
    if params.owner is not None and each.user != params.owner:
        return False
    if params.match is None:
        return True
    text = params.match.casefold()
    return text in each.name.casefold() or text in each.command.casefold()
