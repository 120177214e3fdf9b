"""A restart in place: the agent's image is replaced, its commands run on, nothing is lost."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import outrider
from outrider.domain.command_states import CommandState
from outrider.domain.errors import Conflict
from outrider.domain.ids import CommandId
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.capture import Capture
from tests.integration.engines.conftest import Host

_S = CommandState
_PROGRAM = Path(__file__).with_name("restarting_agent.py")
_PATIENCE = 60.0


def _id_in(folder: Path) -> CommandId:
    """Return an id for the command in a folder: who ends a command ends all processes that bear its id."""
    return CommandId(f"cmd_{hashlib.sha256(bytes(folder)).hexdigest()[:16]}")


async def _run(folder: Path, restarts: int, **params: object) -> dict[str, object]:
    """Run the program through its restarts; return what its last image reports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "faulthandler",
        _PROGRAM,
        str(folder),
        str(restarts),
        json.dumps(params),
        env={
            "PYTHONPATH": str(Path(outrider.__file__).parents[1]),
            "PATH": os.environ["PATH"],
            "RESTARTING_COMMAND": _id_in(folder),
        },
        stdout=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            stdout, _ = await process.communicate()
    except TimeoutError:
        process.send_signal(signal.SIGABRT)  # it prints where it stands
        await process.communicate()
        capture = Capture(folder, _id_in(folder))
        said = {channel: capture.read(channel, 0, 1 << 20)[-500:] for channel in (STDOUT, STDERR)}
        capture.close()
        pytest.fail(f"it does not come to its end; the command has said {said}")
    assert process.returncode == 0
    report: dict[str, object] = json.loads(stdout)
    return report


async def test_output_and_exit_code_arrive_whole(tmp_path: Path) -> None:
    """Through six restarts every line is there once, in order, and the exit code too; no descriptor leaks."""
    batch = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo $b line $i; done"
    line = f"exec 3<>go; for b in 1 2 3 4 5 6 7; do {batch}; [ $b = 7 ] || read x <&3; done; exit 7"
    straight, restarted = tmp_path / "straight", tmp_path / "restarted"
    straight.mkdir()
    restarted.mkdir()
    expected = await _run(straight, 0, command="exit 7")
    os.mkfifo(restarted / "go")
    report = await _run(restarted, 6, command=line, cwd=str(restarted))
    assert (report["state"], report["exit_code"], report["reason"]) == ("failed", 7, "")
    capture = Capture(restarted, _id_in(restarted))
    assert capture.read(STDOUT, 0, 1 << 20) == b"".join(
        b"%d line %d\n" % (number, i) for number in range(1, 8) for i in range(1, 501)
    )
    capture.close()
    # One more than without output: the capture's own file.
    assert report["descriptors"] == int(str(expected["descriptors"])) + 1


async def test_an_end_between_two_images_is_seen(tmp_path: Path) -> None:
    """A command that ends while nobody looks has its last output and its code all the same."""
    os.mkfifo(tmp_path / "gate")
    line = "echo up; read x < gate; echo $x; exit 9"
    report = await _run(tmp_path, 1, command=line, cwd=str(tmp_path))
    assert (report["state"], report["exit_code"], report["total"]) == ("failed", 9, len("up\ngo\n"))


async def test_the_timeout_counts_on(tmp_path: Path) -> None:
    """The time before the restart is not forgotten, and the whole group is ended after it."""
    report = await _run(tmp_path, 1, command="sleep 100 & echo up; sleep 100", timeout=1)
    assert (report["state"], report["signal"]) == ("timed_out", signal.SIGTERM)


async def test_a_cancel_is_not_forgotten(tmp_path: Path) -> None:
    """A command that was told to end before the restart is ended after it, and says so."""
    (tmp_path / "cancel").touch()
    report = await _run(tmp_path, 1, command="trap 'echo term; exit 3' TERM; sleep 100 & wait; sleep 1")
    assert (report["state"], report["exit_code"]) == ("cancelled", 3)


async def test_a_restart_that_does_not_happen(host: Host) -> None:
    """When the new image can't be started the old one takes its own command over again."""
    begun = host.begin("shell", command="echo up; read x; echo $x; exit 5", stdin="more\n")
    running = asyncio.get_running_loop().create_task(begun.run())
    await begun.said(b"up\n")
    handover = begun.process.hand_over()
    with pytest.raises(Conflict):
        begun.process.hand_over()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    outcome = await host.engine.take_over(handover, begun.capture).run()
    assert (outcome.state, outcome.exit_code) == (_S.FAILED, 5)
    assert begun.capture.read(STDOUT, 0, 100) == b"up\nmore\n"


async def test_a_handover_of_somebody_else(host: Host, sleeper: subprocess.Popen[bytes]) -> None:
    """A process that is not our child is not touched: the command is `interrupted`, our files stay ours."""
    begun = host.begin("shell", command="echo up; sleep 100")
    running = asyncio.get_running_loop().create_task(begun.run())
    await begun.said(b"up\n")
    handover = begun.process.hand_over()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    recycled = msgspec.structs.replace(handover.record, pid=sleeper.pid, start_ticks=1)
    foreign = msgspec.structs.replace(handover, record=recycled)
    outcome = await host.engine.take_over(foreign, begun.capture).run()
    assert outcome.state is _S.INTERRUPTED
    assert sleeper.poll() is None
    execution = host.engine.take_over(handover, begun.capture)
    execution.cancel()
    assert (await execution.run()).state is _S.CANCELLED


async def test_nothing_to_hand_over(host: Host) -> None:
    """A command that has not started, or has ended, is refused clearly."""
    begun = host.begin("shell", command="true")
    with pytest.raises(Conflict):
        begun.process.hand_over()
    await begun.run()
    with pytest.raises(Conflict):
        begun.process.hand_over()
