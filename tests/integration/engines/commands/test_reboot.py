"""`reboot` with power that is only written down: when it is ordered, how often, and what is said of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from outrider.domain.command_states import CommandState
from outrider.domain.ids import CommandId
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.leftovers import ProcessRecord
from outrider.engines.commands.outcome import ToldLater
from outrider.engines.commands.power import HostPower, can_reboot
from outrider.engines.commands.reboots import RebootMark, Reboots, mark_of
from outrider.engines.commands.steps import CannotDo, Steps
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock
from tests.integration.engines.conftest import Begun, Host

_S = CommandState


class Machine:
    """A host whose boots and power are a test's: what was written down and ordered, in that order."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.boot = "first-boot"
        self.refuses = ""
        self.holds = True
        self.broken = False
        self.happened: list[str] = []
        self.marks: dict[CommandId, bytes] = {}
        self.host = Host(
            folder,
            self.clock,
            path=str(folder),
            reboots=Reboots(remember=self._remember, power=self, boot=lambda: self.boot),
        )

    async def _remember(self, command_id: CommandId, mark: bytes) -> bool:
        if self.broken:
            raise OSError("no space left on device")
        self.marks[command_id] = mark
        self.happened.append("written down")
        return self.holds

    async def reboot(self, steps: Steps, message: str) -> None:
        """Note the order (`Power`)."""
        self.happened.append(f"ordered {message}".strip())
        if self.refuses:
            raise CannotDo(self.refuses)

    def next_agent(self, begun: Begun) -> Execution:
        """Give the execution that an agent which starts now takes up from what was written down."""
        execution = self.host.engine.resume(begun.id, self.marks[begun.id], begun.capture)
        assert execution is not None
        return execution


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine."""
    return Machine(tmp_path)


@pytest_asyncio.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Give the owner of what runs while a test looks on."""
    async with Tasks("test") as tasks:
        yield tasks


async def _leave(machine: Machine, begun: Begun, tasks: Tasks) -> None:
    """Order the reboot, and let the agent be stopped."""
    running = tasks.start("reboot", begun.execution.run())
    while len(machine.happened) < 2:  # noqa: ASYNC110 - sends no event
        await asyncio.sleep(0)
    begun.execution.interrupt("the agent was stopped")
    with pytest.raises(ToldLater):
        await running


async def test_back_under_another_boot(machine: Machine, tasks: Tasks) -> None:
    """Written down, then ordered; nothing is said until the next agent, under another boot, tells it."""
    begun = machine.host.begin("reboot", message="new kernel")
    await _leave(machine, begun, tasks)
    assert machine.happened == ["written down", "ordered new kernel"]
    machine.boot = "second-boot"
    machine.clock.set_time(machine.clock.time() + 42)
    outcome = await machine.next_agent(begun).run()
    assert (outcome.state, outcome.exit_code) == (_S.SUCCEEDED, 0)
    assert "back after 42 s" in outcome.reason
    told = json.loads(begun.capture.read(1, 0, 10_000))
    assert (told["boot_before"], told["boot_after"], told["seconds"]) == ("first-boot", "second-boot", 42.0)
    assert machine.happened == ["written down", "ordered new kernel"]
    machine.host.close()


@pytest.mark.parametrize("lives", [1, 2, 3])
async def test_it_does_not_come(machine: Machine, lives: int, tasks: Tasks) -> None:
    """Through any number of agents of one boot it is ordered once, and fails when patience is over."""
    begun = machine.host.begin("reboot", patience=100)
    execution = begun.execution
    for life in range(lives - 1):
        running = tasks.start("reboot", execution.run())
        await _until_it_waits(machine, 100 - 10 * life)
        await machine.clock.advance(10)
        execution.interrupt("the agent was stopped")
        with pytest.raises(ToldLater):
            await running
        execution = machine.next_agent(begun)
    running = tasks.start("reboot", execution.run())
    await _until_it_waits(machine, 100 - 10 * (lives - 1))
    assert not running.done()
    await machine.clock.advance(100)
    outcome = await running
    assert (outcome.state, outcome.exit_code) == (_S.FAILED, 1)
    assert "did not reboot within 100 s" in outcome.reason
    assert machine.happened == ["written down", "ordered"]


async def _until_it_waits(machine: Machine, seconds: float) -> None:
    """Return once a sleeper of that many seconds lies there: what it waits for is no answer of a thread."""
    while seconds not in {round(left, 3) for left in machine.clock.sleeping()}:  # noqa: ASYNC110 - sends no event
        await asyncio.sleep(0)


async def test_a_clock_that_was_set_back_makes_nobody_wait_longer(machine: Machine, tasks: Tasks) -> None:
    """Patience is the most that is waited in one life."""
    begun = machine.host.begin("reboot", patience=100)
    await _leave(machine, begun, tasks)
    machine.clock.set_time(machine.clock.time() - 1_000_000)
    running = tasks.start("reboot", machine.next_agent(begun).run())
    await _until_it_waits(machine, 100)
    await machine.clock.advance(100)
    assert (await running).state is _S.FAILED


async def test_cancelled_before_it_is_ordered(machine: Machine, tasks: Tasks) -> None:
    """During the delay it can be taken back, and nothing has happened."""
    begun = machine.host.begin("reboot", delay=60)
    running = tasks.start("reboot", begun.execution.run())
    await _until_it_waits(machine, 60)
    begun.execution.cancel()
    outcome = await running
    assert (outcome.state, outcome.reason) == (_S.CANCELLED, "before it was ordered: cancelled")
    assert machine.happened == []


async def test_an_agent_stopped_before_it_is_ordered(machine: Machine, tasks: Tasks) -> None:
    """Then it is interrupted, and never ordered."""
    begun = machine.host.begin("reboot", delay=60)
    running = tasks.start("reboot", begun.execution.run())
    await _until_it_waits(machine, 60)
    begun.execution.interrupt("the agent was stopped")
    assert (await running).state is _S.INTERRUPTED
    assert machine.happened == []


async def test_nothing_takes_an_order_back(machine: Machine, tasks: Tasks) -> None:
    """A cancel that comes after the order changes nothing."""
    begun = machine.host.begin("reboot", patience=30)
    running = tasks.start("reboot", begun.execution.run())
    await _until_it_waits(machine, 30)
    begun.execution.cancel()
    await machine.clock.settle()
    assert not running.done()
    await machine.clock.advance(30)
    assert (await running).state is _S.FAILED


async def test_what_is_not_on_disk_is_not_ordered(machine: Machine) -> None:
    """A disk that takes no mark, or a spool that holds the command no more, keeps the host up."""
    machine.broken = True
    outcome = (await machine.host.begin("reboot").run()).outcome
    assert outcome.state is _S.FAILED
    assert "not ordered: no space left" in outcome.reason
    machine.broken, machine.holds = False, False
    assert (await machine.host.begin("reboot").run()).outcome.state is _S.FAILED
    assert machine.happened == ["written down"]


async def test_an_init_that_refuses(machine: Machine) -> None:
    """Its reason is the command's, at once."""
    machine.refuses = "the host refused to reboot: Access denied"
    outcome = (await machine.host.begin("reboot").run()).outcome
    assert (outcome.state, outcome.reason) == (_S.FAILED, machine.refuses)


async def test_an_engine_without_power(host: Host) -> None:
    """What keeps no record across boots orders none."""
    outcome = (await host.do("reboot")).outcome
    assert outcome.state is _S.FAILED
    assert "orders none" in outcome.reason


class _Asked:
    """A power that asks the host's init, by way of programs that only write down how they are called."""

    def __init__(self, folder: Path, *programs: str, systemd: bool) -> None:
        self.calls = folder / "calls"
        tools = folder / "tools"
        tools.mkdir()
        for program in programs:
            text = f'#!/bin/sh\necho "{program} $*" >> {self.calls}\necho "no way" >&2\nexit ${{FAIL:-0}}\n'
            (tools / program).write_text(text)
            (tools / program).chmod(0o755)
        self.root = folder / "root"
        (self.root / ("run/systemd/system" if systemd else "run")).mkdir(parents=True)
        self.host = Host(
            folder,
            TurnedClock(),
            root=self.root,
            path=str(tools),
            reboots=Reboots(remember=_always, power=HostPower(), boot=lambda: "boot"),
        )


async def _always(_: CommandId, __: bytes) -> bool:
    return True


@pytest.mark.parametrize(
    ("programs", "systemd", "called"),
    [
        (("systemctl", "shutdown"), True, "systemctl --no-ask-password --message=bye reboot\n"),
        (("systemctl", "shutdown", "reboot"), False, "shutdown -r now bye\n"),
        (("reboot",), False, "reboot \n"),
    ],
)
async def test_the_hosts_own_init_is_asked(
    tmp_path: Path, programs: tuple[str, ...], called: str, *, systemd: bool, tasks: Tasks
) -> None:
    """By systemd where it runs the host, else by what there is, once, and never by force."""
    asked = _Asked(tmp_path, *programs, systemd=systemd)
    begun = asked.host.begin("reboot", message="bye", patience=9)
    running = tasks.start("reboot", begun.execution.run())
    clock = asked.host.clock
    assert isinstance(clock, TurnedClock)
    while 9.0 not in {round(left, 3) for left in clock.sleeping()}:  # noqa: ASYNC110 - sends no event
        await asyncio.sleep(0)
    assert asked.calls.read_text() == called
    begun.execution.interrupt("stopped")
    with pytest.raises(ToldLater):
        await running


async def test_no_way_to_reboot(tmp_path: Path) -> None:
    """A host without any of them says so."""
    asked = _Asked(tmp_path, systemd=False)
    outcome = (await asked.host.do("reboot")).outcome
    assert outcome.state is _S.FAILED
    assert "neither systemd nor shutdown nor reboot" in outcome.reason
    assert not can_reboot(asked.root, lambda _: False)


def test_a_mark_is_told_from_a_process(tmp_path: Path) -> None:
    """What was written down of other commands is none, and their end is for others to tell."""
    mark = RebootMark(boot="b", ordered=1.0, patience=2.0)
    assert mark_of(msgspec.msgpack.encode(mark)) == mark
    record = ProcessRecord(command_id=CommandId("cmd_0123456789abcdef"), pid=7, start_ticks=1, boot="b")
    assert mark_of(msgspec.msgpack.encode(record)) is None
    assert mark_of(b"\xc1rubbish") is None
    capture = Capture(tmp_path, "cmd_x")
    packed = msgspec.msgpack.encode(record)
    assert Host(tmp_path).engine.resume(record.command_id, packed, capture) is None
