"""Daemons as children of a launcher, with small programs in their place."""

import asyncio
import sys
from contextlib import suppress

import pytest

from outrider.cli.child_program import ChildProgram, Ended
from outrider.kit.clock import SystemClock
from outrider.kit.supervise import StopAll

ANNOUNCE = "import os, sys; os.write(int(os.environ['OUTRIDER_ANNOUNCE_FD']), b'{\"n\": 1}\\n');"
AWAIT_PARENT = "sys.exit(0 if os.read(int(os.environ['OUTRIDER_PARENT_FD']), 1) == b'' else 9);"


class Launch:
    """One child, and what came of it."""

    def __init__(self, code: str, *, needed_at_start: bool = True) -> None:
        self.announced: list[bytes] = []
        self.said: list[str] = []
        self.ready = asyncio.Event()
        self.child = ChildProgram(
            "part",
            (sys.executable, "-c", code),
            environ=lambda: {"PATH": "/usr/bin:/bin"},
            announced=self.announced.append,
            say=self.said.append,
            clock=SystemClock(),
            needed_at_start=needed_at_start,
        )

    async def serve(self) -> None:
        """Run it to its end."""
        await self.child.serve(self.ready.set)


async def test_the_first_announcement_makes_it_ready() -> None:
    """What the child writes arrives line by line; it is stopped when the launcher stops."""
    launch = Launch(ANNOUNCE + AWAIT_PARENT)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(launch.serve())
        await launch.ready.wait()
        serving.cancel()
    assert launch.announced == [b'{"n": 1}\n']
    assert launch.said == []


async def test_a_child_that_never_became_ready_stops_everything() -> None:
    """A taken port or a wrong setting does not go away by trying again; its exit code is passed on."""
    with pytest.raises(StopAll) as caught:
        await Launch("import sys; sys.exit(3)").serve()
    assert caught.value.exit_code == 3


async def test_a_child_that_dies_later_is_started_again() -> None:
    """After it was ready once, its end is a crash like any other."""
    launch = Launch(ANNOUNCE + "os.kill(os.getpid(), 9)")
    with pytest.raises(Ended, match="SIGKILL"):
        await launch.serve()
    assert launch.said == ["part: ended with SIGKILL, starting it again"]


async def test_a_child_that_is_not_needed_at_start_may_fail_at_once() -> None:
    """Then too it is only a crash."""
    with pytest.raises(Ended, match="exit code 3"):
        await Launch("import sys; sys.exit(3)", needed_at_start=False).serve()


async def test_a_launcher_that_is_killed_takes_its_child_along() -> None:
    """The child sees the end of its pipe, however the launcher ended."""
    launcher = (
        "import asyncio, sys\n"
        "from outrider.cli.child_program import ChildProgram\n"
        "from outrider.kit.clock import SystemClock\n"
        f"child = ChildProgram('part', (sys.executable, '-c', {ANNOUNCE + AWAIT_PARENT!r}), environ=dict,\n"
        "    announced=lambda _: print('up', flush=True), say=print, clock=SystemClock(),\n"
        "    needed_at_start=True)\n"
        "asyncio.run(child.serve(lambda: None))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", launcher, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.kill()
    # The child inherited standard output: its end there is the end of the child.
    assert await process.stdout.read() == b""
    with suppress(ProcessLookupError):
        await process.wait()
