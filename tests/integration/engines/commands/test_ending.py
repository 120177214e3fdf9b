"""How commands are ended, and that nothing of them is left running."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from outrider.domain.command_states import CommandState
from outrider.domain.output import STDOUT
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.commands.processes import living_processes, marker_of, read_stat
from outrider.testing.clock import TurnedClock
from tests.integration.engines.conftest import Begun, Done, Host

_S = CommandState
Until = Callable[[Callable[[], object]], Awaitable[None]]


def _left_of(begun: Begun) -> list[int]:
    return [stat.pid for stat in living_processes() if marker_of(stat.pid) == begun.id]


def _no_start_is_undone() -> bool:
    """Whether no thread works any more on a start that nobody waits for."""
    return not any(thread.name.startswith("command-start") for thread in threading.enumerate())


def _alive(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and not stat.is_dead


def _pids(done: Done) -> list[int]:
    return [int(word) for word in done.stdout.split() if word.isdigit()]


async def test_a_timeout_ends_the_whole_group(host: Host) -> None:
    """Parent, child and grandchild get TERM; the state is `timed_out` and the reason names the limit."""
    begun = host.begin("shell", command="sh -c 'sleep 100 & sleep 100' & sleep 100", timeout=0.3)
    outcome = (await begun.run()).outcome
    assert (outcome.state, outcome.exit_code, outcome.signal) == (_S.TIMED_OUT, None, signal.SIGTERM)
    assert "0.3 s" in outcome.reason
    assert _left_of(begun) == []


async def test_a_clean_exit_after_term_is_still_a_timeout(host: Host) -> None:
    """A command that tidies up when told to has that time, and its last words and code are kept."""
    done = await host.shell("trap 'echo bye; exit 0' TERM; sleep 100 & wait", timeout=0.3)
    assert (done.outcome.state, done.outcome.exit_code, done.stdout) == (_S.TIMED_OUT, 0, b"bye\n")


async def test_term_then_kill_after_five_seconds(tmp_path: Path, until: Until) -> None:
    """What ignores TERM lives 5 s longer, not less, and is killed then; timeouts count from the start."""
    clock = TurnedClock()
    host = Host(tmp_path, clock)
    begun = host.begin(
        "shell", command="trap 'echo term' TERM; echo up; while :; do sleep 0.05; done", timeout=60
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        await begun.said(b"up\n")
        await clock.advance(59.9)
        assert not running.done()
        await clock.advance(0.1)
        await begun.said(b"term\n")
        await until(lambda: clock.sleepers)
        await clock.advance(4.9)
        record = begun.process.record
        assert record is not None
        assert record.is_alive()
        assert not running.done()
        await clock.advance(0.1)
    assert running.result().outcome.state is _S.TIMED_OUT
    assert running.result().outcome.signal == signal.SIGKILL
    assert running.result().stdout == b"up\nterm\n"
    begun.capture.close()


async def test_a_child_that_ignores_term_is_killed_too(tmp_path: Path, until: Until) -> None:
    """When the shell leaves at TERM but its child does not, the child is killed all the same."""
    clock = TurnedClock()
    host = Host(tmp_path, clock)
    begun = host.begin(
        "shell", command="sh -c \"trap '' TERM; echo up; while :; do sleep 0.05; done\" & wait"
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        await begun.said(b"up\n")
        begun.execution.cancel()
        await until(lambda: begun.process.record is not None and not begun.process.record.is_alive())
        await until(lambda: clock.sleepers)
        assert _left_of(begun) != []
        await clock.advance(5)
    assert running.result().outcome.state is _S.CANCELLED
    assert _left_of(begun) == []
    begun.capture.close()


async def test_a_stopped_process_ends_at_term(host: Host) -> None:
    """A command that was stopped is woken to die: it does not take the 5 s."""
    begun = host.begin("shell", command="echo up; kill -STOP $$; echo never")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        await begun.said(b"up\n")
        begun.execution.cancel()
    assert running.result().outcome.signal == signal.SIGTERM


async def test_what_left_the_group_is_ended_by_a_cancel(host: Host) -> None:
    """A double fork into a session of its own does not escape: the marker gives it away."""
    begun = host.begin("shell", command="(setsid sh -c 'echo $$; exec sleep 100' &); sleep 100")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        await begun.said(b"\n")
        begun.execution.cancel()
    (escaped,) = _pids(running.result())
    assert not _alive(escaped)
    assert running.result().outcome.state is _S.CANCELLED


async def test_cancel_before_the_start(host: Host) -> None:
    """A command that was cancelled in time never runs."""
    begun = host.begin("shell", command="echo x")
    begun.execution.cancel()
    begun.execution.cancel()
    outcome = (await begun.run()).outcome
    assert outcome.state is _S.CANCELLED
    assert "before it had started" in outcome.reason
    assert begun.capture.total(STDOUT) == 0
    assert await begun.process.wait_begun() is None


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 10, 30, 100])
async def test_cancel_at_any_moment(host: Host, until: Until, rounds: int) -> None:
    """Whenever it comes while the command is starting, it ends as cancelled and nothing is left."""
    begun = host.begin("script", body="sleep 100")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        for _ in range(rounds):
            await asyncio.sleep(0)
        begun.execution.cancel()
    assert running.result().outcome.state is _S.CANCELLED
    await until(_no_start_is_undone)
    # What was killed takes its time to die on a busy machine.
    await until(lambda: not _left_of(begun))


async def test_a_cancelled_start_leaves_no_process(host: Host, until: Until) -> None:
    """A start that was already under way is undone: process, descriptors and script."""
    begun = host.begin("script", body="sleep 100")
    async with asyncio.TaskGroup() as group:
        group.create_task(begun.run())
        await asyncio.sleep(0)
        begun.execution.cancel()
    await until(lambda: not _left_of(begun) and not list(host.scratch.glob("*")))
    await until(_no_start_is_undone)


async def test_cancel_after_the_end_changes_nothing(host: Host) -> None:
    """A command that has ended stays as it ended."""
    begun = host.begin("shell", command="exit 0")
    assert (await begun.run()).outcome.state is _S.SUCCEEDED
    begun.execution.cancel()
    begun.execution.interrupt("late")


async def test_cancel_in_the_moment_of_the_end(host: Host) -> None:
    """A command that had ended before the cancel, though nobody had noticed, is a success."""
    begun = host.begin("shell", command="read x; exit 0", stdin="x\n")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        record = await begun.process.wait_begun()
        assert record is not None
        while (stat := read_stat(record.pid)) is not None and not stat.is_dead:
            pass  # The loop must not turn, or it would notice.
        begun.execution.cancel()
    assert running.result().outcome.state is _S.SUCCEEDED


async def test_interrupt_says_why(host: Host) -> None:
    """An agent that must stop ends its commands as `interrupted`, with its reason."""
    begun = host.begin("shell", command="echo up; sleep 100")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        await begun.said(b"up\n")
        begun.execution.interrupt("the agent was stopped")
        begun.execution.cancel()
    outcome = running.result().outcome
    assert (outcome.state, outcome.reason) == (_S.INTERRUPTED, "the agent was stopped")


async def test_a_cancelled_task_kills_at_once(host: Host) -> None:
    """Cancelling `run` itself leaves neither a process nor a script, also where TERM is ignored."""
    begun = host.begin("script", body="trap '' TERM; setsid sleep 100 & echo up; sleep 100")
    running = asyncio.get_running_loop().create_task(begun.run())
    await begun.said(b"up\n")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert _left_of(begun) == []
    assert list(host.scratch.iterdir()) == []


async def test_what_is_left_in_the_background_is_ended(host: Host) -> None:
    """When the shell ends, so does what it left in its group; the command succeeds and the reason tells."""
    begun = host.begin("shell", command="sleep 100 & sleep 100 >/dev/null 2>&1 & echo $!")
    done = await begun.run()
    assert (done.outcome.state, done.outcome.exit_code) == (_S.SUCCEEDED, 0)
    assert "2 processes it left running had to be ended" in done.outcome.reason
    assert _left_of(begun) == []


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_chain_of_forks_is_caught(host: Host, *, cancelled: bool) -> None:
    """Processes that replace themselves all the time and ignore TERM are ended too."""
    main = "sleep 100" if cancelled else "exit 0"
    begun = host.begin("shell", command=f"trap '' TERM; h() {{ sleep 0.03; h & }}; h & echo up; {main}")
    async with asyncio.TaskGroup() as group:
        group.create_task(begun.run())
        await begun.said(b"up\n")
        if cancelled:
            begun.execution.cancel()
    assert _left_of(begun) == []


async def test_a_helper_behind_a_pipe_may_finish(host: Host) -> None:
    """What only finishes its work when the shell has ended is waited for, and its output is kept."""
    done = await host.do("script", body="exec > >(sleep 0.05; sed s/a/b/); echo a", interpreter="bash")
    assert (done.stdout, done.outcome.reason) == (b"b\n", "")


async def test_a_daemon_of_its_own_session_stays(host: Host, until: Until) -> None:
    """A service that a command starts properly outlives it, and nothing is said."""
    daemon_line = "echo $$; exec </dev/null >/dev/null 2>&1; : > f; exec sleep 100"
    done = await host.shell(f"mkfifo f; setsid sh -c '{daemon_line}' & : < f", cwd=str(host.folder))
    (daemon,) = _pids(done)
    assert (done.outcome.state, done.outcome.reason) == (_S.SUCCEEDED, "")
    assert _alive(daemon)
    os.kill(daemon, signal.SIGKILL)
    await until(lambda: not _alive(daemon))


async def test_a_daemon_that_holds_the_pipe_does_not_hold_the_command(host: Host, until: Until) -> None:
    """The command ends although a daemon keeps its output open; the reason says that no more is read."""
    done = await host.shell(
        "mkfifo f; setsid sh -c 'echo $$; : > f; exec sleep 100' & : < f; rm f", cwd=str(host.folder)
    )
    (daemon,) = _pids(done)
    assert done.outcome.state is _S.SUCCEEDED
    assert "holds its output" in done.outcome.reason
    assert _alive(daemon)
    os.kill(daemon, signal.SIGKILL)
    await until(lambda: not _alive(daemon))


def _cgroup_tree() -> Path | None:
    """Return a folder for cgroups that this machine lets us make, or None."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                folder = Path(mount) / line.removeprefix("0::/") / f"outrider-test-{os.getpid()}"
                try:
                    folder.mkdir()
                except OSError:
                    continue
                if (folder / "cgroup.kill").exists():
                    return folder
                folder.rmdir()
    return None


async def test_a_cgroup_holds_what_nothing_else_does(tmp_path: Path, until: Until) -> None:
    """A process without group, session and marker is ended by its cgroup; without one it escapes."""
    tree = _cgroup_tree()
    host = Host(tmp_path, cgroups=TaskCgroups(tree) if tree is not None else None)
    line = "sleep 0.2; (env -i setsid sh -c 'echo $$; exec sleep 100' &); sleep 100"
    begun = host.begin("shell", command=line)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(begun.run())
        await begun.said(b"\n")
        begun.execution.cancel()
    (escaped,) = _pids(running.result())
    if tree is not None:
        assert not _alive(escaped)
        assert [entry.name for entry in tree.iterdir() if entry.is_dir()] == []
        tree.rmdir()
    else:
        os.kill(escaped, signal.SIGKILL)
        await until(lambda: not _alive(escaped))
    begun.capture.close()
