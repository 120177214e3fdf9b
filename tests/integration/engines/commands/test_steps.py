"""Commands that the agent does in steps: how each step ends, and what is left of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from outrider.domain.command_states import CommandState
from outrider.domain.ids import CommandId
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.outcome import Outcome
from outrider.engines.commands.processes import living_processes, marker_of
from outrider.engines.commands.steps import Answer, CannotDo, Steps, StepsExecution
from outrider.engines.commands.surroundings import Surroundings
from outrider.kit.clock import SystemClock
from outrider.testing.clock import TurnedClock

_S = CommandState
_ID = CommandId("cmd_0123456789abcdef")


def _execution(
    folder: Path, work: Callable[[Steps], Awaitable[Answer]], clock: TurnedClock | SystemClock, seconds: float
) -> StepsExecution:
    surroundings = Surroundings(
        scratch=folder, clock=clock, base_environment={}, cgroups=None, agent_version="1"
    )
    return StepsExecution(work, Steps(_ID, surroundings, seconds), Capture(folder, _ID))


async def _outcome(folder: Path, work: Callable[[Steps], Awaitable[Answer]], seconds: float = 30) -> Outcome:
    return await _execution(folder, work, SystemClock(), seconds).run()


def _left() -> list[int]:
    return [stat.pid for stat in living_processes() if marker_of(stat.pid) == _ID]


async def test_what_a_step_raises_is_told(tmp_path: Path) -> None:
    """Also a TimeoutError of the work itself, which is not the command's time limit."""

    def broken() -> None:
        raise TimeoutError("the directory server is silent")

    async def work(steps: Steps) -> Answer:
        await steps.in_thread(broken)
        raise AssertionError

    outcome = await _outcome(tmp_path, work)
    assert (outcome.state, outcome.exit_code) == (_S.FAILED, 1)
    assert "the directory server is silent" in outcome.reason


@pytest.mark.parametrize(("script", "said"), [("exit 3", "exit code 3"), ("echo a; echo b >&2", "b")])
async def test_a_program_speaks_for_itself(tmp_path: Path, script: str, said: str) -> None:
    """What it wrote to stderr, else to stdout, else its exit code; its environment is plain."""

    async def work(steps: Steps) -> Answer:
        ran = await steps.program("/bin/sh", "-c", f'[ "$LC_ALL" = C ] || exit 9; {script}')
        raise CannotDo(ran.said)

    assert said in (await _outcome(tmp_path, work)).reason


@pytest.mark.parametrize("killed", ["by somebody else", "missing"])
async def test_a_program_without_an_exit_code(tmp_path: Path, killed: str) -> None:
    """One that somebody kills, or that is not there, ends the command with the reason."""

    async def work(steps: Steps) -> Answer:
        await steps.program("/bin/sh", "-c", "kill -9 $$") if killed != "missing" else await steps.program(
            "/no"
        )
        raise AssertionError

    outcome = await _outcome(tmp_path, work)
    assert outcome.state is _S.FAILED
    assert ("signal 9" if killed != "missing" else "/no") in outcome.reason


@pytest.mark.parametrize("rounds", [0, 1, 3, 10, 100])
async def test_ended_at_any_moment_leaves_nothing(tmp_path: Path, rounds: int) -> None:
    """A cancel in whatever step ends it, with the program that runs and all that came of that."""

    async def work(steps: Steps) -> Answer:
        while True:
            await steps.in_thread(lambda: None)
            await steps.program("/bin/sh", "-c", "sleep 100 & sleep 100")

    execution = _execution(tmp_path, work, SystemClock(), 60)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(execution.run())
        for _ in range(rounds):
            await asyncio.sleep(0)
        execution.cancel()
        execution.interrupt("too late")
    assert running.result().state is _S.CANCELLED
    while await asyncio.to_thread(_left):
        pass  # A start that was under way is undone in its thread.


async def test_a_killed_task_leaves_nothing(tmp_path: Path) -> None:
    """Cancelling `run` itself kills the program at once."""
    begun = asyncio.Event()

    async def work(steps: Steps) -> Answer:
        begun.set()
        await steps.program("/bin/sh", "-c", "trap '' TERM; sleep 100")
        raise AssertionError

    execution = _execution(tmp_path, work, SystemClock(), 60)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(execution.run())
        await begun.wait()
        while not await asyncio.to_thread(_left):
            pass
        running.cancel()
    assert _left() == []


async def test_the_time_limit_is_of_all_steps_together(tmp_path: Path) -> None:
    """Steps that each take their time are out of it together; a wait that fits in is no time limit."""
    clock = TurnedClock()
    waited = []

    async def work(steps: Steps) -> Answer:
        while True:
            await steps.sleep(4)
            waited.append(clock.monotonic())

    execution = _execution(tmp_path, work, clock, 10)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(execution.run())
        await clock.settle()
        await clock.advance(10)
    assert len(waited) == 2
    assert (running.result().state, running.result().reason) == (
        _S.TIMED_OUT,
        "it was not done within 10 s",
    )
