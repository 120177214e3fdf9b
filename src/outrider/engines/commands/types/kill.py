"""`kill`: a signal for processes of this host, held so that no other one can be hit."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from signal import SIGKILL
from typing import Final

import msgspec

from outrider.domain.command_types.kill import KillParams, signal_number
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.ending import KILL_PATIENCE
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.listing import listing
from outrider.engines.commands.process_table import Entry, Users, read_entries, read_entry
from outrider.engines.commands.processes import ProcessHandle, own_line, read_stat
from outrider.engines.commands.steps import ANSWER_SECONDS, Answer, CannotDo, Steps, steps_of
from outrider.engines.telemetry.facts import own_name

_SHOWN: Final = 10


class Signalled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one process.

    `result`: signalled (nobody waited), ended, killed (after `wait`), gone (before it could be signalled),
    not_permitted, or runs (it has not ended in time).
    """

    pid: int
    start_ticks: int
    name: str
    user: str
    result: str


@dataclass(slots=True)
class _Target:
    """A process that is held until its result is known."""

    entry: Entry
    user: str
    handle: ProcessHandle | None
    result: str = "signalled"

    def told(self) -> Signalled:
        return Signalled(
            pid=self.entry.pid,
            start_ticks=self.entry.start_ticks,
            name=self.entry.name,
            user=self.user,
            result=self.result,
        )


def begin(assignment: Assignment[KillParams]) -> Execution:
    """Prepare the signal; nobody is looked at before it runs."""
    params = assignment.params
    return steps_of(assignment, partial(_kill, params), timeout=ANSWER_SECONDS + params.wait + KILL_PATIENCE)


async def _kill(params: KillParams, steps: Steps) -> Answer:
    found = await steps.in_thread(partial(_find, params))
    targets: list[_Target] = []
    try:
        targets += (_Target(entry, user, _hold(entry)) for entry, user in found)
        _send(targets, signal_number(params.signal))
        if params.wait > 0:
            await _wait(targets, steps, params.wait)
            if params.escalate and (left := [target for target in targets if target.result == "runs"]):
                _send(left, SIGKILL)
                await _wait(left, steps, KILL_PATIENCE, ended="killed")
    finally:
        for target in targets:
            if target.handle is not None:
                target.handle.release()
    facts = {"signal": params.signal, "count": len(targets)}
    stdout = listing(facts, "processes", [target.told() for target in targets])
    return Answer(stdout=stdout, failed=_failure(targets, params))


def _find(params: KillParams) -> list[tuple[Entry, str]]:
    """Find whom the parameters mean. Raises CannotDo for those that are not to be signalled."""
    spared, users = own_line(), Users()
    entries = [_one(params, params.pid)] if params.pid is not None else _named(params)
    for entry in entries:
        if entry.pid in spared or entry.pid == 1:
            raise CannotDo(
                f"process {entry.pid} ({entry.name}) is the agent itself, or one it comes from; nothing was"
                " signalled"
            )
    return [(entry, users.name(entry.uid)) for entry in entries]


def _one(params: KillParams, pid: int) -> Entry:
    entry = read_entry(pid)
    if entry is None:
        raise CannotDo(f"there is no process {pid} on this host, or the agent may not see it")
    if entry.threads_of != pid:
        raise CannotDo(f"{pid} is a thread of process {entry.threads_of}; name the process")
    if entry.is_kernel_thread:
        raise CannotDo(f"process {pid} ({entry.name}) is part of the kernel, which no signal reaches")
    if entry.is_dead:
        raise CannotDo(f"process {pid} ({entry.name}) has ended already; its parent has not taken note")
    if params.start_ticks not in (None, entry.start_ticks):
        raise CannotDo(
            f"process {pid} is another one by now: {entry.name}, with start_ticks {entry.start_ticks}"
        )
    return entry


def _named(params: KillParams) -> list[Entry]:
    found = [
        entry
        for entry in read_entries().values()
        if entry.name == params.name and not entry.is_dead and not entry.is_kernel_thread
    ]
    if len(found) != params.count:
        pids = f": {_pids(entry.pid for entry in found)}" if found else ""
        raise CannotDo(
            f"{len(found)} processes are named {params.name}, not {params.count}{pids}; nothing was signalled"
        )
    return found


def _pids(pids: Iterable[int]) -> str:
    listed = sorted(pids)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(map(str, listed[:_SHOWN])) + more


def _hold(entry: Entry) -> ProcessHandle | None:
    stat = read_stat(entry.pid)
    if stat is None or stat.start_ticks != entry.start_ticks:
        return None
    return ProcessHandle.hold(stat)


def _send(targets: Sequence[_Target], number: int) -> None:
    for target in targets:
        if target.handle is None:
            target.result = "gone"
        elif not target.handle.send(number):
            target.result = "not_permitted"


async def _wait(targets: Sequence[_Target], steps: Steps, seconds: float, *, ended: str = "ended") -> None:
    """Wait until those that were signalled have ended, and note which have."""
    left = {id(target): target for target in targets if target.result in ("signalled", "runs")}
    all_gone = asyncio.get_running_loop().create_future()

    def leave(target: _Target) -> None:
        if target.handle is not None:
            target.handle.unwatch()
        target.result = ended
        del left[id(target)]
        if not left and not all_gone.done():
            all_gone.set_result(None)

    for target in left.values():
        target.result = "runs"
        if target.handle is not None:
            target.handle.watch(partial(leave, target))
    try:
        if left:
            await steps.settled(all_gone, seconds)
    finally:
        for target in left.values():
            if target.handle is not None:
                target.handle.unwatch()


def _failure(targets: Sequence[_Target], params: KillParams) -> str:
    """Say why the command has failed; empty when every process was signalled and ended as asked."""
    by_result: dict[str, list[int]] = {}
    for target in targets:
        by_result.setdefault(target.result, []).append(target.entry.pid)
    reasons = []
    if pids := by_result.get("not_permitted"):
        reasons.append(f"the agent (as {own_name()}) may not signal {_pids(pids)}")
    if pids := by_result.get("gone"):
        reasons.append(f"ended before it could be signalled: {_pids(pids)}")
    if pids := by_result.get("runs"):
        hint = "not even KILL ends it now" if params.escalate else "`escalate` sends KILL then"
        reasons.append(f"still there after {params.wait:g} s: {_pids(pids)} ({hint})")
    return "; ".join(reasons)
