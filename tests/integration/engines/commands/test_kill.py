"""`kill` on real processes: who is hit, who never is, and what is said of each."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from outrider.domain.command_states import CommandState
from outrider.engines.commands.process_table import read_entry
from outrider.testing.clock import TurnedClock
from tests.integration.engines.conftest import Done, Host

_S = CommandState
_STUBBORN: Final = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)\nwhile 1: signal.pause()"
)
_AS_NOBODY: Final = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def _results(done: Done) -> dict[int, str]:
    return {each["pid"]: each["result"] for each in json.loads(done.stdout)["processes"]}


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that takes no notice of TERM."""
    with subprocess.Popen([sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def named(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give three processes of one name, longer than what the kernel keeps of a name."""
    program = tmp_path / "a-program-with-a-long-name"
    program.symlink_to("/bin/sleep")
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen([program, "100"])) for _ in range(3)]
        yield processes
        for process in processes:
            process.kill()


async def test_term_is_sent(host: Host, sleeper: subprocess.Popen[bytes]) -> None:
    """One process by its number gets the signal; nobody waits for what it makes of it."""
    done = await host.do("kill", pid=sleeper.pid)
    assert (done.outcome.state, done.outcome.exit_code) == (_S.SUCCEEDED, 0)
    assert _results(done) == {sleeper.pid: "signalled"}
    assert sleeper.wait() == -signal.SIGTERM


@pytest.mark.parametrize("number", ["KILL", "SIGUSR1", 10, "34"])
async def test_other_signals(host: Host, sleeper: subprocess.Popen[bytes], number: str | int) -> None:
    """By name or number, real-time signals among them."""
    done = await host.do("kill", pid=sleeper.pid, signal=number, wait=30)
    assert _results(done) == {sleeper.pid: "ended"}
    assert done.outcome.state is _S.SUCCEEDED
    assert sleeper.wait() < 0


async def test_the_same_number_is_not_the_same_process(host: Host, sleeper: subprocess.Popen[bytes]) -> None:
    """With the start it was listed with, a process that got the number since is let alone."""
    entry = read_entry(sleeper.pid)
    assert entry is not None
    other = await host.do("kill", pid=sleeper.pid, start_ticks=entry.start_ticks - 1)
    assert other.outcome.state is _S.FAILED
    assert "another one by now" in other.outcome.reason
    assert sleeper.poll() is None
    done = await host.do("kill", pid=sleeper.pid, start_ticks=entry.start_ticks, wait=30)
    assert done.outcome.state is _S.SUCCEEDED


async def test_it_does_not_end_in_time(host: Host, stubborn: subprocess.Popen[bytes]) -> None:
    """A process that is to be gone and is not makes the command fail, and it says how to insist."""
    done = await host.do("kill", pid=stubborn.pid, wait=0.05)
    assert (done.outcome.state, done.outcome.exit_code) == (_S.FAILED, 1)
    assert "escalate" in done.outcome.reason
    assert _results(done) == {stubborn.pid: "runs"}


async def test_escalation(host: Host, stubborn: subprocess.Popen[bytes]) -> None:
    """KILL comes after `wait`, and then it has ended."""
    done = await host.do("kill", pid=stubborn.pid, wait=0.05, escalate=True)
    assert done.outcome.state is _S.SUCCEEDED
    assert _results(done) == {stubborn.pid: "killed"}
    assert stubborn.wait() == -signal.SIGKILL


async def test_wait_ends_with_a_cancel(tmp_path: Path, stubborn: subprocess.Popen[bytes]) -> None:
    """Who waits for a process can be cancelled, and holds nothing afterwards; no KILL is sent then."""
    host = Host(tmp_path, TurnedClock())
    begun = host.begin("kill", pid=stubborn.pid, wait=300, escalate=True)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        while str(stubborn.pid) not in _held_pids():  # noqa: ASYNC110 - holding a process sends no event
            await asyncio.sleep(0)
        begun.execution.cancel()
    assert running.result().outcome.state is _S.CANCELLED
    assert stubborn.poll() is None
    assert str(stubborn.pid) not in _held_pids()
    begun.capture.close()


def _held_pids() -> set[str]:
    """Return the pids that this process holds a pidfd on."""
    found = set()
    for item in Path("/proc/self/fdinfo").iterdir():
        try:
            lines = item.read_text().splitlines()
        except OSError:
            continue
        found |= {line.split()[1] for line in lines if line.startswith("Pid:")}
    return found


async def test_by_name_takes_the_right_count(host: Host, named: list[subprocess.Popen[bytes]]) -> None:
    """Exactly as many as were meant, or none at all."""
    name = "a-program-with-a-long-name"
    wrong = await host.do("kill", name=name, count=2)
    assert wrong.outcome.state is _S.FAILED
    assert "3 processes are named" in wrong.outcome.reason
    assert "nothing was signalled" in wrong.outcome.reason
    assert [process.poll() for process in named] == [None] * 3
    nobody = await host.do("kill", name=name[:-1], count=1)
    assert "0 processes" in nobody.outcome.reason
    done = await host.do("kill", name=name, count=3, wait=30)
    assert _results(done) == {process.pid: "ended" for process in named}


async def test_the_agent_and_its_line_are_spared(host: Host) -> None:
    """Neither the agent nor what started it is signalled, by number or by name; nor is anybody else then."""
    for pid in (os.getpid(), os.getppid()):
        done = await host.do("kill", pid=pid, signal="CONT")
        assert done.outcome.state is _S.FAILED
        assert "the agent itself" in done.outcome.reason or pid == 1
    own = read_entry(os.getpid())
    assert own is not None
    listed = json.loads((await host.do("processes", name=own.name, sample=0)).stdout)
    done = await host.do("kill", name=own.name, count=listed["count"], signal="CONT")
    assert "nothing was signalled" in done.outcome.reason


@pytest.fixture
def zombie() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that has ended and was not waited for."""
    with subprocess.Popen(["/bin/true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process


async def test_threads_zombies_and_nobody(host: Host, zombie: subprocess.Popen[bytes]) -> None:
    """A number that is no process which could take a signal is refused, with what it is."""
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    thread.start()
    done = await host.do("kill", pid=thread.native_id, signal="CONT")
    gate.set()
    thread.join()
    assert f"a thread of process {os.getpid()}" in done.outcome.reason
    done = await host.do("kill", pid=zombie.pid)
    assert "has ended already" in done.outcome.reason
    zombie.poll()
    done = await host.do("kill", pid=zombie.pid)
    assert "there is no process" in done.outcome.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="run as root")
def test_not_permitted(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """An agent that may not signal a process says so, by its own name and the process's number."""
    script = """
import asyncio, sys
from pathlib import Path
from tests.integration.engines.conftest import Host
done = asyncio.run(Host(Path(sys.argv[1])).do("kill", pid=int(sys.argv[2])))
print(done.outcome.state, done.outcome.reason, done.stdout.decode())
"""
    tmp_path.chmod(0o777)
    caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    done = subprocess.run(
        [*_AS_NOBODY, *caps, sys.executable, "-c", script, str(tmp_path), str(sleeper.pid)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    assert f"failed the agent (as nobody) may not signal {sleeper.pid}" in done.stdout
    assert '"result":"not_permitted"' in done.stdout
    assert sleeper.poll() is None


def test_kernel_threads(host: Host) -> None:
    """What is part of the kernel is no process to be signalled, where it can be seen."""
    found: Any = read_entry(2)
    if found is not None and found.is_kernel_thread:
        done = asyncio.run(host.do("kill", pid=2))
        assert "part of the kernel" in done.outcome.reason
