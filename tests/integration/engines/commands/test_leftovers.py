"""What a killed agent left running is found and ended, and nothing else."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

import outrider
from outrider.domain.ids import CommandId
from outrider.engines.commands.leftovers import ProcessRecord, end_leftovers, record_of
from outrider.engines.commands.processes import MARKER, living_processes, marker_of, read_stat
from outrider.kit.clock import SystemClock

_SOURCE = str(Path(outrider.__file__).parents[1])
_AGENT = """
import asyncio, json, sys, time
from pathlib import Path
import msgspec
from outrider.domain.ids import CommandId
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.engine import CommandEngine
from outrider.kit.clock import SystemClock

async def main():
    folder = Path(sys.argv[1])
    engine = CommandEngine(folder / "scratch", SystemClock(), agent_version="1")
    records = []
    async with asyncio.TaskGroup() as group:
        for number, line in enumerate(sys.argv[2:]):
            command_id = CommandId(f"cmd_leftover{number:04}")
            capture = Capture(folder, command_id)
            ready = asyncio.Event()
            capture.subscribe(ready.set)
            execution = engine.begin(command_id, "shell", {"command": line}, capture)
            group.create_task(execution.run())
            await ready.wait()
            records.append(msgspec.to_builtins(execution.record))
        print(json.dumps(records), flush=True)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Killed:
    """The records of an agent that was killed while its commands ran."""

    records: tuple[ProcessRecord, ...]

    @property
    def ids(self) -> list[str]:
        """The commands."""
        return [record.command_id for record in self.records]


def _killed_agent(folder: Path, *lines: str) -> Killed:
    agent = subprocess.Popen(
        [sys.executable, "-c", _AGENT, str(folder), *lines],
        env={"PYTHONPATH": _SOURCE},
        stdout=subprocess.PIPE,
    )
    with agent:
        assert agent.stdout is not None
        records = json.loads(agent.stdout.readline())
        agent.send_signal(signal.SIGKILL)
    return Killed(tuple(msgspec.convert(records, list[ProcessRecord])))


def _left(ids: list[str]) -> list[int]:
    return [stat.pid for stat in living_processes() if marker_of(stat.pid) in ids]


def _record(process: subprocess.Popen[bytes]) -> ProcessRecord:
    record = record_of(CommandId("cmd_0123456789ab"), process.pid)
    assert record is not None
    return record


async def test_all_that_a_killed_agent_left_is_ended(tmp_path: Path) -> None:
    """Groups, those that ignore TERM, and those that left their group: nothing of the commands is left."""
    killed = _killed_agent(
        tmp_path,
        "echo; sleep 100 & sleep 100",
        "trap '' TERM; echo; while :; do sleep 1; done",
        "(setsid sh -c 'echo; exec sleep 100' &); sleep 100",
    )
    assert len(_left(killed.ids)) >= 6
    ended = await end_leftovers(killed.records, marker_ids=killed.ids, clock=SystemClock(), grace=0.3)
    assert ended == killed.ids
    assert _left(killed.ids) == []
    assert await end_leftovers(killed.records, marker_ids=killed.ids, clock=SystemClock()) == []


async def test_the_record_alone_finds_the_session(tmp_path: Path) -> None:
    """Also what dropped its environment is ended while the main process is there."""
    killed = _killed_agent(tmp_path, "env -i sleep 100 & echo; sleep 100")
    assert await end_leftovers(killed.records, marker_ids=(), clock=SystemClock()) == killed.ids
    assert _left(killed.ids) == []


async def test_the_marker_alone_finds_all_that_carry_it(tmp_path: Path) -> None:
    """An agent that was killed before it wrote the pid down still finds its command."""
    killed = _killed_agent(tmp_path, "echo; sleep 100", "echo; sleep 100")
    first, second = killed.ids
    assert await end_leftovers((), marker_ids={second}, clock=SystemClock()) == [second]
    assert _left([first]) != []
    assert await end_leftovers((), marker_ids={first}, clock=SystemClock()) == [first]


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot": "another-boot"}])
async def test_a_recycled_pid_is_spared(sleeper: subprocess.Popen[bytes], change: dict[str, object]) -> None:
    """The same number with another start time, or of another boot, is another process."""
    record = msgspec.structs.replace(_record(sleeper), **change)
    assert not record.is_alive()
    assert await end_leftovers([record], marker_ids={record.command_id}, clock=SystemClock()) == []
    assert sleeper.poll() is None


async def test_the_recorded_process_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    """The control to the test above: the true record ends it."""
    record = _record(sleeper)
    assert record.is_alive()
    assert await end_leftovers([record], marker_ids=(), clock=SystemClock()) == [record.command_id]
    assert sleeper.wait() == -signal.SIGTERM


def test_an_agent_never_ends_itself() -> None:
    """An agent that was started from a command of the same id ends its sisters, not itself."""
    program = (
        "import asyncio, os, subprocess\n"
        "from outrider.engines.commands.leftovers import end_leftovers\n"
        "from outrider.kit.clock import SystemClock\n"
        "with subprocess.Popen(['sleep', '100']) as child:\n"
        "    print(asyncio.run(end_leftovers((), marker_ids={os.environ['OUTRIDER_COMMAND_ID']},"
        " clock=SystemClock())), child.wait())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": _SOURCE, "PATH": os.environ["PATH"], MARKER: "cmd_fedcba987654"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['cmd_fedcba987654'] -15\n"


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="run as root")
def test_what_is_not_ours_is_passed_over(sleeper: subprocess.Popen[bytes]) -> None:
    """An ordinary agent can't end a process of root's: it says nothing was ended and goes on."""
    record = _record(sleeper)
    program = (
        "import asyncio, concurrent.futures.thread, os, sys, msgspec\n"
        "from outrider.engines.commands.leftovers import ProcessRecord, end_leftovers\n"
        "from outrider.kit.clock import SystemClock\n"
        "record = msgspec.json.decode(sys.argv[1], type=ProcessRecord)\n"
        "assert record.is_alive()\n"  # And all modules are loaded that nobody might not read.
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(asyncio.run(end_leftovers([record], marker_ids={'x'}, clock=SystemClock())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, msgspec.json.encode(record).decode()],
        env={"PYTHONPATH": _SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
    assert read_stat(sleeper.pid) is not None
    assert sleeper.poll() is None


def test_nothing_is_recorded_of_nothing() -> None:
    """A pid that is nobody's has no record."""
    assert record_of(CommandId("cmd_0123456789ab"), 2**22 + 1) is None
