"""The root of a process: what signals and verdicts make of it, in a process of its own where it matters."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from outrider.kit.supervise import Ready, StopAll, Supervisor, run_until_signalled
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

_PROGRAM = """
import asyncio, sys
from outrider.kit import logs
from outrider.kit.clock import SystemClock
from outrider.kit.supervise import Supervisor, run_until_signalled

class Service:
    name = "stubborn"

    async def serve(self, ready):
        ready()
        print("up", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("stopping", flush=True)
            {on_stop}

async def main():
    tree = Supervisor("tree", clock=SystemClock(), stop_grace={grace})
    tree.add(Service())
    return await run_until_signalled(tree)

logs.configure("INFO")
sys.exit(asyncio.run(main()))
"""

_IGNORE_EVERY_CANCELLATION = """while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass"""


class _Steady:
    """A service that works until it is stopped and says when it was."""

    name = "steady"

    def __init__(self) -> None:
        self.stopped = False

    async def serve(self, ready: Ready) -> None:
        """Work until cancelled."""
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True


def _start(on_stop: str, grace: float) -> subprocess.Popen[str]:
    program = textwrap.dedent(_PROGRAM).format(on_stop=on_stop, grace=grace)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_stops_in_order_and_succeeds(number: signal.Signals, tasks: Tasks) -> None:
    """A signal stops the services and gives 0; the caller can go on working afterwards."""
    steady = _Steady()
    tree = Supervisor("tree", clock=TurnedClock())
    tree.add(steady)
    running = tasks.start("main", run_until_signalled(tree))
    await tree.wait_ready()
    os.kill(os.getpid(), number)
    assert await running == 0
    assert steady.stopped
    await asyncio.sleep(0)


async def test_a_stop_all_gives_its_exit_code(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    """When a service asks for everything to stop, its exit code is returned and its reason logged."""

    class Asks:
        name = "asks"

        async def serve(self, ready: Ready) -> None:
            ready()
            message = "the disk is full"
            raise StopAll(message, exit_code=3)

    tree = Supervisor("tree", clock=TurnedClock())
    tree.add(Asks())
    assert await tasks.start("main", run_until_signalled(tree)) == 3
    [record] = [record for record in caplog.records if record.getMessage() == "stopped"]
    assert record.__dict__["outrider_fields"] == {"reason": "the disk is full", "exit_code": 3}


async def test_a_signal_does_not_cut_a_stop_short(tasks: Tasks) -> None:
    """A signal that comes while a StopAll is being carried out leaves the stop its time."""
    release = asyncio.Event()
    stopping = asyncio.Event()

    class CleansUp(_Steady):
        async def serve(self, ready: Ready) -> None:
            try:
                await super().serve(ready)
            finally:
                stopping.set()
                await release.wait()
                self.name = "cleaned up"

    class Asks:
        name = "asks"

        async def serve(self, ready: Ready) -> None:
            ready()
            message = "enough"
            raise StopAll(message)

    cleans_up = CleansUp()
    tree = Supervisor("tree", clock=TurnedClock())
    tree.add(cleans_up)
    tree.add(Asks())
    running = tasks.start("main", run_until_signalled(tree))
    await stopping.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await TurnedClock().settle()
    assert not running.done()
    release.set()
    assert await running == 1
    assert cleans_up.name == "cleaned up"


async def test_a_cancellation_from_elsewhere_goes_on(tasks: Tasks) -> None:
    """Without a signal, being cancelled stops the services and stays a cancellation."""
    steady = _Steady()
    tree = Supervisor("tree", clock=TurnedClock())
    tree.add(steady)
    running = tasks.start("main", run_until_signalled(tree))
    await tree.wait_ready()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert steady.stopped


async def test_a_cancellation_beside_a_signal_goes_on(tasks: Tasks) -> None:
    """When the caller cancels while a signal is being answered, the cancellation is not lost."""
    release = asyncio.Event()
    stopping = asyncio.Event()

    class CleansUp(_Steady):
        async def serve(self, ready: Ready) -> None:
            try:
                await super().serve(ready)
            finally:
                stopping.set()
                await release.wait()

    tree = Supervisor("tree", clock=TurnedClock())
    tree.add(CleansUp())
    running = tasks.start("main", run_until_signalled(tree))
    await tree.wait_ready()
    os.kill(os.getpid(), signal.SIGTERM)
    await stopping.wait()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    release.set()


def test_a_second_signal_ends_the_process_at_once() -> None:
    """However stubborn a service is, the second signal ends the process, with the code shells use for it."""
    with _start(_IGNORE_EVERY_CANCELLATION, grace=3600) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert "stopping at once signal=SIGINT" in errors


def test_a_service_left_behind_does_not_keep_the_process() -> None:
    """After the grace the process ends, 0 as ever, though a service ignores each of its cancellations."""
    with _start(_IGNORE_EVERY_CANCELLATION, grace=0.01) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert process.returncode == 0
    assert "service does not stop, left behind service=tree/stubborn" in errors


def test_a_clean_stop_runs_to_its_end() -> None:
    """A service that cleans up in time is waited for, and the process ends the ordinary way."""
    with _start('await asyncio.sleep(0); print("clean", flush=True)', grace=3600) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    assert (process.returncode, output) == (0, "stopping\nclean\n")
