"""The daemon as a process, against a fake center: what it does with commands, crashes and restarts."""

import asyncio
import json
import os
import resource
import shutil
import signal
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.identity import KnownIdentity, Verdict, judge
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT
from outrider.protocol.messages import (
    Accepted,
    Cancel,
    Execute,
    Finished,
    Probe,
    Refused,
    Removed,
    ResultsConfirmed,
    Started,
    Watch,
)
from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter


def _sleeping(seconds: int) -> list[int]:
    """Find the processes whose command line holds a `sleep` of so many seconds."""
    marker = f"sleep {seconds}"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if marker.encode() in line:
                found.append(int(entry.name))
    return found


async def _gone(pid: int) -> None:
    """Return once a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


@pytest.mark.usefixtures("agent")
async def test_a_short_command_tells_its_whole_story(center: FakeCenter) -> None:
    """A command that ends at once is accepted, started and finished in this order, its output whole."""
    command_id = await center.execute("shell", command="echo out; echo err >&2; exit 3")
    finished = await center.result(command_id)
    assert (finished.state, finished.exit_code) == (CommandState.FAILED, 3)
    assert (center.stored(command_id, STDOUT), center.stored(command_id, STDERR)) == (b"out\n", b"err\n")
    told = [type(message) for message in center.said if isinstance(message, Accepted | Started | Finished)]
    assert told == [Accepted, Started, Finished]


async def test_enrolment_is_kept_private_and_asked_for_once(center: FakeCenter, agent: AgentProcess) -> None:
    """The key is on disk, readable by its owner alone, before it is sent; a restart does not enrol again."""
    await agent.stop()
    record = json.loads((agent.folder / "enrolment.json").read_text())
    assert center.enrolments[0]["agent_key"] == record["agent_key"]
    for name in ("enrolment.json", "identity.key", "spool.sqlite"):
        assert stat.S_IMODE((agent.folder / name).stat().st_mode) == 0o600, name
    await agent.start()
    await center.linked(2)
    assert len(center.enrolments) == 1


@pytest.mark.usefixtures("agent")
async def test_a_duplicate_order_runs_once(center: FakeCenter, tmp_path: Path) -> None:
    """The same id offered again, also after it ran and was confirmed, is answered and not run."""
    mark = tmp_path / "mark"
    order = center.order("shell", {"command": f"echo x >> {mark}"})
    await center.say(Execute(orders=(order,)), Execute(orders=(order,)))
    await center.result(order.id)
    await center.execute("ping")
    await center.say(Execute(orders=(order,)))
    await center.until(lambda: len(center.results[order.id]) == 2)
    assert mark.read_text() == "x\n"
    assert center.results[order.id][1].state is CommandState.SUCCEEDED


async def test_a_result_is_said_on_each_link_until_confirmed(center: FakeCenter, agent: AgentProcess) -> None:
    """A result that nobody confirmed comes again with the next link, and after a restart, whole."""
    center.confirm_results = False
    command_id = await center.execute("shell", command="echo kept")
    await center.result(command_id)
    await center.drop()
    await center.until(lambda: len(center.results[command_id]) == 2)
    await agent.stop()
    await agent.start()
    await center.until(lambda: len(center.results[command_id]) == 3)
    assert {finished.stdout.data for finished in center.results[command_id]} == {b"kept\n"}
    assert command_id in center.hellos[-1].held
    await center.say(ResultsConfirmed(ids=(command_id,)))
    await center.execute("ping")
    await center.drop()
    await center.linked(4)
    assert command_id not in center.hellos[-1].held


async def test_a_killed_agent_leaves_nothing_running(center: FakeCenter, tmp_path: Path) -> None:
    """After kill -9: what ran is ended and interrupted with its output, what waited runs, nothing twice."""
    mark = tmp_path / "mark"
    async with AgentProcess(tmp_path / "agent", center.url, max_parallel="2") as agent:
        await center.linked()
        long_line = f"echo begun; echo x >> {mark}; sleep 4243 & sleep 4243; echo never"
        running = [await center.execute("shell", command=long_line) for _ in range(2)]
        for command_id in running:
            await center.until(lambda c=command_id: bool(center.stored(c, STDOUT)))  # type: ignore[misc]  # a default argument
        waiting = [await center.execute("shell", command=f"echo w >> {mark}") for _ in range(3)]
        for command_id in waiting:
            await center.accepted(command_id)
        await agent.kill()
        assert len(_sleeping(4243)) >= 4
        await agent.start()
        for command_id in running:
            finished = await center.result(command_id)
            assert finished.state is CommandState.INTERRUPTED
            assert finished.started is not None
            assert center.stored(command_id, STDOUT) == b"begun\n"
        for command_id in waiting:
            assert (await center.result(command_id)).state is CommandState.SUCCEEDED
        assert not _sleeping(4243)
        assert sorted(mark.read_text().split()) == ["w"] * 3 + ["x"] * 2


async def test_a_restart_in_place_keeps_what_runs(center: FakeCenter, agent: AgentProcess) -> None:
    """SIGHUP replaces the program in its process; a running command's output and exit code are whole."""
    line = "for i in $(seq 1 400); do echo line $i; sleep 0.001; done; exit 7"
    command_id = await center.execute("shell", command=line)
    await center.until(lambda: bool(center.stored(command_id, STDOUT)))
    before = center.hellos[-1].identity
    agent.signal(signal.SIGHUP)
    hello = await center.linked(2)
    finished = await center.result(command_id)
    assert (finished.state, finished.exit_code) == (CommandState.FAILED, 7)
    assert center.stored(command_id, STDOUT) == b"".join(b"line %d\n" % i for i in range(1, 401))
    assert before.start in hello.identity.earlier_starts
    assert agent.pid > 0
    assert (await center.result(await center.execute("ping"))).state is CommandState.SUCCEEDED


async def test_a_planned_stop_ends_and_reports_what_runs(center: FakeCenter, agent: AgentProcess) -> None:
    """SIGTERM ends commands, says so while the link is there, and exits 0."""
    command_id = await center.execute("shell", command="sleep 4244")
    await center.started(command_id)
    assert await agent.stop() == 0
    assert (await center.result(command_id)).state is CommandState.INTERRUPTED
    assert not _sleeping(4244)


async def test_a_cancelled_command_ends(center: FakeCenter, tmp_path: Path) -> None:
    """Cancel ends a running command and takes a waiting one out of the line."""
    async with AgentProcess(tmp_path / "agent", center.url, max_parallel="1"):
        await center.linked()
        running = await center.execute("shell", command="sleep 4245")
        await center.started(running)
        waiting = await center.execute("shell", command="echo never")
        await center.accepted(waiting)
        await center.say(Cancel(id=waiting), Cancel(id=running), Cancel(id=CommandId("cmd_unknown0000000")))
        assert (await center.result(waiting)).started is None
        assert {(await center.result(c)).state for c in (running, waiting)} == {CommandState.CANCELLED}


@pytest.mark.usefixtures("agent")
async def test_large_output_travels_on_a_stream(center: FakeCenter) -> None:
    """Head and tail of large output arrive exactly, before the result, whatever the two channels do."""
    command_id = await center.execute("shell", command="seq 1 300000; seq 1 30000 >&2")
    finished = await center.result(command_id)
    whole = b"".join(b"%d\n" % i for i in range(1, 300001))
    kept = center.stored(command_id, STDOUT)
    assert finished.stdout.total == len(whole)
    assert kept == whole[: 512 * 1024] + whole[-512 * 1024 :]
    assert center.stored(command_id, STDERR) == b"".join(b"%d\n" % i for i in range(1, 30001))
    assert center.streams_opened


async def test_watched_output_flows_beyond_the_head(center: FakeCenter, agent: AgentProcess) -> None:
    """While somebody watches, output beyond the kept head comes as it is made; what is kept stays exact."""
    line = "seq 1 120000; read -r go < fifo; seq 120001 300000; exit 0"
    folder = agent.folder / "captures"
    os.mkfifo(folder / "fifo")
    command_id = await center.execute("shell", command=line, cwd=str(folder))
    await center.say(Watch(id=command_id, on=True))
    await center.until(lambda: bool(center.live[command_id, STDOUT]))
    (folder / "fifo").write_text("go\n")
    finished = await center.result(command_id)
    whole = b"".join(b"%d\n" % i for i in range(1, 300001))
    assert finished.state is CommandState.SUCCEEDED
    assert center.stored(command_id, STDOUT) == whole[: 512 * 1024] + whole[-512 * 1024 :]


@pytest.mark.usefixtures("agent")
async def test_output_is_whole_over_a_broken_link(center: FakeCenter) -> None:
    """Output that was sent and not confirmed when the link broke is sent again."""
    center.confirm_output = False
    line = "for i in $(seq 1 300); do echo line $i; sleep 0.005; done"
    command_id = await center.execute("shell", command=line)
    await center.until(lambda: len(center.stored(command_id, STDOUT)) > 100)
    center.kept.clear()
    await center.drop()
    center.confirm_output = True
    await center.result(command_id)
    assert center.stored(command_id, STDOUT) == b"".join(b"line %d\n" % i for i in range(1, 301))


@pytest.mark.usefixtures("agent")
async def test_a_silent_center_is_given_up(center: FakeCenter) -> None:
    """A half-open link is noticed after three heartbeats, and dialled anew."""
    center.heartbeat = 0.2
    await center.drop()
    await center.linked(2)
    center.mute = True
    await center.until(lambda: not center.link_count)
    center.mute = False
    await center.linked(3)


@pytest.mark.usefixtures("agent")
async def test_broken_frames_break_only_the_link(center: FakeCenter) -> None:
    """Frames that are no msgpack, no message or too early end the link; the agent comes back and works."""
    for number, frame in enumerate((b"\xc1", b"\x93\x01\x02\x03"), start=2):
        await center.say_bytes(frame)
        await center.linked(number)
    assert (await center.result(await center.execute("ping"))).state is CommandState.SUCCEEDED


async def test_an_old_spool_starts_nothing(center: FakeCenter, tmp_path: Path) -> None:
    """What an old copy of the spool still holds as waiting ends `interrupted`, under a new incarnation."""
    mark = tmp_path / "mark"
    async with AgentProcess(tmp_path / "agent", center.url, max_parallel="1") as agent:
        hello = await center.linked()
        blocker = await center.execute("shell", command="sleep 4246")
        await center.started(blocker)
        waiting = await center.execute("shell", command=f"echo x >> {mark}")
        await center.accepted(waiting)
        await agent.kill()
        copy = tmp_path / "copy"
        shutil.copytree(agent.home, copy)
        await agent.start()
        await center.result(waiting)
        await agent.stop()
        shutil.rmtree(agent.home)
        copy.rename(agent.home)
        center.new_spool = True
        before = len(center.hellos)
        await agent.start()
        await center.until(lambda: len(center.hellos) > before)
        center.new_spool = False
        await center.until(lambda: len(center.results[waiting]) >= 2)
        assert center.results[waiting][-1].state is CommandState.INTERRUPTED
        await center.until(lambda: center.hellos[-1].identity.incarnation != hello.identity.incarnation)
        assert mark.read_text() == "x\n"


async def test_what_the_center_knows_as_begun_is_not_started(center: FakeCenter, tmp_path: Path) -> None:
    """A waiting command that the center names as begun ends `interrupted`; the others run."""
    async with AgentProcess(tmp_path / "agent", center.url, max_parallel="1") as agent:
        await center.linked()
        blocker = await center.execute("shell", command="sleep 4247")
        await center.started(blocker)
        begun = await center.execute("ping")
        other = await center.execute("ping")
        await center.accepted(other)
        await agent.kill()
        center.begun = (begun,)
        await agent.start()
        assert (await center.result(begun)).state is CommandState.INTERRUPTED
        assert (await center.result(other)).state is CommandState.SUCCEEDED


async def test_a_cloned_folder_is_recognised(center: FakeCenter, agent: AgentProcess, tmp_path: Path) -> None:
    """A copy of the folder that starts beside the original says a chain of starts that gives it away."""
    first = center.hellos[-1].identity
    await agent.stop()
    shutil.copytree(agent.home, tmp_path / "clone")
    await agent.start()
    original = (await center.linked(2)).identity
    await agent.stop()
    async with AgentProcess(tmp_path / "clone", center.url):
        clone = (await center.linked(3)).identity
    known = KnownIdentity(
        incarnation=first.incarnation, generation=0, start=original.start, machine=first.machine
    )
    assert judge(known, clone) is Verdict.FORKED
    assert judge(msgspec.structs.replace(known, start=first.start), original) is Verdict.RESTARTED


async def test_a_full_disk_loses_nothing(center: FakeCenter, agent: AgentProcess) -> None:
    """Orders that don't fit on the disk are not acknowledged, and run when there is room again."""
    assert (await center.result(await center.execute("ping"))).state is CommandState.SUCCEEDED
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    command_id = await center.execute("ping")
    heard = len(center.said)
    await center.say(Probe())
    await center.until(lambda: len(center.said) > heard)
    assert not any(isinstance(message, Accepted) and command_id in message.ids for message in center.said)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (await center.result(command_id)).state is CommandState.SUCCEEDED


async def test_the_policy_is_obeyed_at_once(center: FakeCenter, agent: AgentProcess) -> None:
    """A forbidden command fails with a reason that names the file; a change of the file counts at once."""
    policy = agent.home / "policy.toml"
    policy.write_text('forbid = ["shell"]\n')
    finished = await center.result(await center.execute("shell", command="true"))
    assert finished.state is CommandState.FAILED
    assert str(policy) in finished.reason
    assert finished.started is None
    policy.unlink()
    assert (await center.result(await center.execute("shell", command="true"))).exit_code == 0


@pytest.mark.usefixtures("agent")
async def test_an_expired_command_is_not_started(center: FakeCenter) -> None:
    """Expiry is judged by the center's clock, even where the host's own is hours off."""
    center.time_ahead = 7200.0
    await center.drop()
    await center.linked(2)
    live = center.order("ping", ttl=3600.0)
    dead = center.order("ping", ttl=-1.0)
    await center.say(Execute(orders=(live, dead)))
    assert (await center.result(live.id)).state is CommandState.SUCCEEDED
    assert (await center.result(dead.id)).state is CommandState.EXPIRED


async def test_an_agent_that_is_not_approved_runs_nothing(center: FakeCenter, tmp_path: Path) -> None:
    """Orders for a pending agent are not taken in, whoever sends them."""
    center.approval = Approval.PENDING
    async with AgentProcess(tmp_path / "agent", center.url):
        await center.linked()
        command_id = await center.execute("ping")
        heard = len(center.said)
        await center.say(Probe())
        await center.until(lambda: len(center.said) > heard)
        assert not center.results[command_id]


async def test_a_deleted_agent_forgets_its_key(center: FakeCenter, agent: AgentProcess) -> None:
    """After `removed` the key is wiped, what runs is ended, and the enrolment key does not work again."""
    command_id = await center.execute("shell", command="echo begun; sleep 4248")
    await center.until(lambda: bool(center.stored(command_id, STDOUT)))
    sleeper = _sleeping(4248)[-1]
    await center.say(Removed(detail="Deleted by admin."))
    await agent.logged("its key is wiped")
    await _gone(sleeper)
    assert "agent_key" not in json.loads((agent.folder / "enrolment.json").read_text())
    await agent.stop()
    await agent.start()
    await agent.logged("use a new enrolment key")
    assert len(center.enrolments) == 1


async def test_a_refusal_is_obeyed(center: FakeCenter, agent: AgentProcess) -> None:
    """A refused agent comes back after the time it was told, and the reason is logged."""
    center.refuse_with = Refused(code="duplicate_identity", detail="Another one is here.", retry_after=0.3)
    await center.drop()
    await center.until(lambda: len(center.hellos) >= 3)
    center.refuse_with = None
    await center.linked(4)
    await agent.logged("Another one is here.")


@pytest.mark.usefixtures("agent")
async def test_a_center_that_is_back_is_found(center: FakeCenter) -> None:
    """Commands that run while the center is away end, and their results wait for it."""
    command_id = await center.execute("shell", command="echo done")
    await center.accepted(command_id)
    await center.stop()
    await center.start()
    assert (await center.result(command_id)).stdout.data == b"done\n"


@pytest.mark.usefixtures("agent")
async def test_reports_stand_in_for_a_blocked_link(center: FakeCenter) -> None:
    """Where WebSockets do not get through, commands come and results go by reports."""
    center.answer_with = 426
    order = center.order("shell", {"command": "echo polled"})
    center.offered = [order]
    await center.drop()
    finished = await center.result(order.id)
    assert finished.stdout.data == b"polled\n"
    assert center.reports[-1]["identity"]["agent_id"] == center.hellos[-1].identity.agent_id


async def test_two_daemons_do_not_share_a_folder(center: FakeCenter, agent: AgentProcess) -> None:
    """A second daemon in the same folder ends at once with its own exit code, and says who is there."""
    async with AgentProcess(agent.home, center.url) as second:
        await second.logged(str(agent.pid))
        assert await second.ended() == 3


async def test_the_daemon_stays_light() -> None:
    """None of the heavy libraries is loaded by the daemon."""
    program = (
        "import sys, outrider.agent.app; "
        "print([name for name in ('cryptography', 'rich', 'cyclopts', 'sqlalchemy', 'litestar', 'psutil')"
        " if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said == b"[]\n"


async def test_the_agent_ends_with_its_launcher_also_after_a_restart(
    center: FakeCenter, tmp_path: Path
) -> None:
    """The end of the launcher's pipe stops the daemon, and a restart in place does not lose the pipe."""
    reading, writing = os.pipe()
    try:
        async with AgentProcess(tmp_path / "agent", center.url, parent_fd=str(reading)) as agent:
            await center.linked()
            agent.signal(signal.SIGHUP)
            await center.linked(2)
            os.close(writing)
            writing = -1
            assert await agent.ended() == 0
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
