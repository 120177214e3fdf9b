"""`update_agent` with a program that fetches nothing: what is proposed, and what is said of how it ended."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from outrider.bootstrap import trials
from outrider.bootstrap.layout import Layout
from outrider.bootstrap.trials import Outcome, Trial
from outrider.bootstrap.versions import Versions
from outrider.domain.command_states import CommandState
from outrider.domain.ids import CommandId
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.outcome import ToldLater
from outrider.engines.commands.updates import Updates, mark_of
from outrider.kit.tasks import Tasks
from tests.integration.engines.conftest import Begun, Host

_S = CommandState
OLD, NEW = "0.1.0-aaaaaaaaaaaa-cp311", "0.2.0-bbbbbbbbbbbb-cp311"
DONE = {"state": "done", "detail": "in place", "name": NEW, "version": "0.2.0", "build": "bbbbbbbbbbbb"}
Until = Callable[[Callable[[], object]], Awaitable[None]]


class Machine:
    """An installed agent whose fetching, memory and restarts are a test's."""

    def __init__(self, folder: Path) -> None:
        self.versions = Versions(Layout(prefix=folder / "prefix"))
        for name in (OLD, NEW):
            place = self.versions.layout.version(name)
            place.mkdir(parents=True)
            version, build, _ = name.split("-")
            (place / "bundle.json").write_text(
                json.dumps(
                    {"format": 1, "version": version, "build": build, "python": "3.11", "platform": "linux-x"}
                )
            )
        self.versions.use(OLD)
        self.program = folder / "fetch"
        self.marks: dict[CommandId, bytes] = {}
        self.holds = True
        self.broken = False
        self.remembers: Callable[[], None] = lambda: None
        self.restarts = 0
        self.settled = True
        self.ways = 0
        self.no_way = ""
        self.host = Host(folder, updates=self.updates())

    def updates(self) -> Updates:
        """What the engine is given."""
        return Updates(
            versions=self.versions,
            running=OLD,
            program=("/bin/sh", str(self.program)),
            environment={"OUTRIDER_HOME": "/the/home"},
            remember=self._remember,
            restart=self._restart,
            settled=self._settled,
            way=self._way,
        )

    def fetches(self, script: str, *said: dict[str, str]) -> None:
        """Let the program that fetches be this shell script, which says these lines at its end."""
        lines = "\n".join(f"echo '{json.dumps(each)}'" for each in said)
        self.program.write_text(f"{script}\n{lines}\n")

    async def _remember(self, command_id: CommandId, mark: bytes) -> bool:
        if self.broken:
            raise OSError("no space left on device")
        assert self.versions.trial() is None, "what is proposed was written down before"
        self.marks[command_id] = mark
        self.remembers()
        return self.holds

    @asynccontextmanager
    async def _way(self) -> AsyncIterator[Mapping[str, str]]:
        if self.no_way:
            raise OSError(self.no_way)
        self.ways += 1
        try:
            yield {"OUTRIDER_CENTER_SOCKET": "/the/way"}
        finally:
            self.ways -= 1

    def _restart(self) -> None:
        self.restarts += 1

    def _settled(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.settled:
            future.set_result(None)
        return future

    def next_agent(self, begun: Begun) -> Execution:
        """Give the execution that the next agent takes up from what was written down."""
        execution = self.host.engine.resume(begun.id, self.marks[begun.id], begun.capture)
        assert execution is not None
        return execution


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine whose program brings a new version."""
    machine = Machine(tmp_path)
    machine.fetches("", {"state": "note", "detail": "half"}, DONE)
    return machine


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Give the owner of what runs while a test looks on."""
    async with Tasks("test") as tasks:
        yield tasks


async def _leave(machine: Machine, begun: Begun, tasks: Tasks, until: Until) -> None:
    """Let the version be proposed, and the agent be restarted."""
    running = tasks.start("update", begun.execution.run())
    await until(lambda: machine.restarts)
    begun.execution.cancel()  # too late
    begun.execution.interrupt("the agent was restarted")
    with pytest.raises(ToldLater):
        await running


async def test_a_version_is_written_down_then_proposed(machine: Machine, tasks: Tasks, until: Until) -> None:
    """In that order, with the command's id; then the agent restarts. What the program notes is passed on."""
    begun = machine.host.begin("update_agent", patience=7)
    await _leave(machine, begun, tasks, until)
    assert machine.versions.trial() == Trial(version=NEW, previous=OLD, command=begun.id, patience=7.0)
    mark = mark_of(machine.marks[begun.id])
    assert mark is not None
    assert (mark.version, mark.previous, mark.patience) == (NEW, OLD, 7.0)
    assert begun.capture.read(1, 0, 10_000).decode().splitlines() == [
        "half",
        "trying 0.2.0, build bbbbbbbbbbbb: the agent restarts",
    ]
    machine.host.close()


@pytest.mark.parametrize(
    ("reason", "state", "told"),
    [
        ("", _S.SUCCEEDED, "updated from 0.1.0 (build aaaaaaaaaaaa) to 0.2.0 (build bbbbbbbbbbbb)"),
        (
            "it hung",
            _S.FAILED,
            "0.2.0 (build bbbbbbbbbbbb) failed, and 0.1.0 (build aaaaaaaaaaaa) runs again: it hung",
        ),
    ],
)
async def test_the_next_agent_tells_how_it_ended(
    machine: Machine, tasks: Tasks, until: Until, reason: str, state: CommandState, told: str
) -> None:
    """Both versions are named, and the reason why the new one failed."""
    begun = machine.host.begin("update_agent")
    await _leave(machine, begun, tasks, until)
    outcome = Outcome(version=NEW, previous=OLD, good=not reason, reason=reason, command=begun.id)
    machine.versions.carry_out([trials.WriteOutcome(outcome), trials.RemoveTrial()])
    ended = await machine.next_agent(begun).run()
    assert (ended.state, ended.exit_code, ended.reason) == (state, 1 if reason else 0, told)
    machine.host.close()


@pytest.mark.parametrize("command", [None, "cmd_of_somebody_else"])
async def test_an_update_that_was_never_tried_has_changed_nothing(
    machine: Machine, tasks: Tasks, until: Until, command: str | None
) -> None:
    """The agent was killed before it was proposed: there is no outcome, or an older one."""
    begun = machine.host.begin("update_agent")
    await _leave(machine, begun, tasks, until)
    acts: list[trials.Act] = [trials.RemoveTrial()]
    if command is not None:
        acts.append(
            trials.WriteOutcome(Outcome(version=NEW, previous=OLD, good=True, reason="", command=command))
        )
    machine.versions.carry_out(acts)
    ended = await machine.next_agent(begun).run()
    assert ended.state is _S.FAILED
    assert "before the new version could be tried; nothing has changed" in ended.reason
    machine.host.close()


async def test_a_trial_that_is_under_way_is_left_to_the_next_agent(
    machine: Machine, tasks: Tasks, until: Until
) -> None:
    """The version on trial makes way: the one after it tells."""
    begun = machine.host.begin("update_agent")
    await _leave(machine, begun, tasks, until)
    machine.settled = False
    execution = machine.next_agent(begun)
    running = tasks.start("resumed", execution.run())
    await asyncio.sleep(0)
    execution.cancel()
    execution.interrupt("restarting")
    with pytest.raises(ToldLater):
        await running
    machine.host.close()


async def test_the_version_that_runs_is_not_tried(machine: Machine) -> None:
    """Nothing restarts."""
    machine.fetches("", {**DONE, "name": OLD, "version": "0.1.0", "build": "aaaaaaaaaaaa"})
    done = await machine.host.do("update_agent")
    assert done.outcome.state is _S.SUCCEEDED
    assert done.outcome.reason == "0.1.0 (build aaaaaaaaaaaa) runs here already"
    assert (machine.restarts, machine.marks) == (0, {})
    machine.host.close()


@pytest.mark.parametrize(
    ("script", "said", "reason"),
    [
        ("", [{"state": "failed", "detail": "no bundle"}], "no bundle"),
        ("echo out of luck >&2; exit 3", [], "ended with exit code 3: out of luck"),
        ("echo no json; exit 4", [], "ended with exit code 4: it said nothing"),
        ("", [{"state": "note", "detail": "half"}], "ended with exit code 0: it said nothing"),
        ("kill -9 $$", [], "signal 9"),
    ],
)
async def test_what_can_not_be_fetched_is_not_tried(
    machine: Machine, script: str, said: list[dict[str, str]], reason: str
) -> None:
    """The reason is the program's own where it gave one."""
    machine.fetches(script, *said)
    done = await machine.host.do("update_agent")
    assert done.outcome.state is _S.FAILED
    assert reason in done.outcome.reason
    assert (machine.restarts, machine.versions.trial()) == (0, None)
    machine.host.close()


async def test_what_is_asked_for_reaches_the_program(machine: Machine) -> None:
    """Version and force are its options; the home of the agent is in its environment."""
    machine.fetches('echo "$* $OUTRIDER_HOME" >&2; exit 1')
    done = await machine.host.do("update_agent", version="0.2.0-bbbbbbbbbbbb", force=True)
    assert "--version 0.2.0-bbbbbbbbbbbb --anew /the/home" in done.outcome.reason
    machine.host.close()


async def test_its_way_to_the_center_is_kept_open_while_it_fetches(
    machine: Machine, tasks: Tasks, until: Until
) -> None:
    """The program is told of it; it is closed when the program ends, and when the command does."""
    machine.fetches('echo "$OUTRIDER_CENTER_SOCKET" >&2; exit 1')
    done = await machine.host.do("update_agent")
    assert "exit code 1: /the/way" in done.outcome.reason
    assert machine.ways == 0
    machine.fetches("sleep 600")
    begun = machine.host.begin("update_agent")
    running = tasks.start("update", begun.execution.run())
    await until(lambda: machine.ways)
    begun.execution.cancel()
    assert (await running).state is _S.CANCELLED
    assert machine.ways == 0
    machine.no_way = "No space left on device"
    done = await machine.host.do("update_agent")
    assert done.outcome.state is _S.FAILED
    assert done.outcome.reason == "no way to the center could be opened for it: No space left on device"
    machine.host.close()


async def test_what_can_not_be_written_down_is_not_tried(machine: Machine) -> None:
    """Neither when the disk is full, nor when the command is not this agent's any more."""
    machine.broken = True
    done = await machine.host.do("update_agent")
    assert "could not be written down, so it was not tried: no space left" in done.outcome.reason
    machine.broken, machine.holds = False, False
    done = await machine.host.do("update_agent")
    assert "does not hold the command any more" in done.outcome.reason
    machine.host.close()


async def test_one_version_is_tried_at_a_time(machine: Machine) -> None:
    """What somebody else has proposed meanwhile is not replaced."""
    machine.remembers = lambda: machine.versions.propose(NEW, previous=OLD, command="cmd_other")
    done = await machine.host.do("update_agent")
    assert done.outcome.state is _S.FAILED
    assert "another version is being tried" in done.outcome.reason
    trial = machine.versions.trial()
    assert trial is not None
    assert trial.command == "cmd_other"
    assert machine.restarts == 0
    machine.host.close()


async def test_it_can_be_cancelled_while_it_fetches(machine: Machine, tasks: Tasks, until: Until) -> None:
    """The program is ended with it."""
    machine.fetches(f"""echo '{json.dumps({"state": "note", "detail": "begun"})}'; sleep 600""")
    begun = machine.host.begin("update_agent")
    running = tasks.start("update", begun.execution.run())
    await until(lambda: begun.capture.total(1))
    begun.execution.cancel()
    ended = await running
    assert (ended.state, ended.reason) == (_S.CANCELLED, "before it was tried: cancelled")
    machine.host.close()


async def test_it_has_a_time_to_fetch(machine: Machine) -> None:
    """The program is ended when that is over, and nothing is tried."""
    machine.fetches("sleep 600")
    begun = machine.host.begin("update_agent", timeout=0.1)
    machine.host.begun[-1] = begun
    outcome = (await begun.run()).outcome
    assert outcome.state is _S.TIMED_OUT
    machine.host.close()


async def test_without_an_installation_it_says_how_to_adopt(tmp_path: Path) -> None:
    """An agent that pip has installed, say."""
    host = Host(tmp_path)
    done = await host.do("update_agent")
    assert done.outcome.state is _S.FAILED
    assert "--adopt" in done.outcome.reason
    host.close()


def test_a_mark_is_told_from_others() -> None:
    """What other commands have written down is not this one's."""
    assert mark_of(b"") is None
    assert mark_of(b"\x81\xa4kind\xa6reboot") is None
