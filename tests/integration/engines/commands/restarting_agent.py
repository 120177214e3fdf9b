"""A program that runs one command and replaces its own image while it runs.

    restarting_agent.py FOLDER RESTARTS PARAMS

PARAMS are those of a shell command, as JSON. Each image waits for news of the command (`cancel` in FOLDER
makes it cancel first), then hands over to the next; the last one prints how the command ended. Each image but
the first writes a line to the fifo `go` in FOLDER, when there is one. A line goes to the fifo `gate` between
two images, and the process is left to end there.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec

from outrider.domain.ids import CommandId
from outrider.domain.output import STDOUT
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.engine import CommandEngine
from outrider.engines.commands.execution import ProcessExecution
from outrider.engines.commands.handover import ProcessHandover
from outrider.engines.commands.processes import read_stat
from outrider.kit.clock import SystemClock

ID = CommandId(os.environ["RESTARTING_COMMAND"])


async def _work(folder: Path, restarts: int, params: str) -> bytes | None:
    """Run one image's part; return the handover, or None when the command has ended."""
    engine = CommandEngine(folder / "scratch", SystemClock(), agent_version="1")
    capture = Capture(folder, ID)
    state = folder / "handover"
    if state.exists():
        handover = msgspec.msgpack.decode(state.read_bytes(), type=ProcessHandover)
        execution = engine.take_over(handover, capture)
    else:
        begun = engine.begin(ID, "shell", json.loads(params), capture)
        assert isinstance(begun, ProcessExecution)
        execution = begun
    if state.exists() and (folder / "go").exists():
        (folder / "go").write_text("go\n")
    news = asyncio.Event()
    capture.subscribe(news.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(execution.run())
        if restarts:
            if (folder / "cancel").exists():
                await execution.wait_begun()
                execution.cancel()
            while (folder / "cancel").exists() and b"term" not in capture.read(STDOUT, 0, 1 << 20):
                news.clear()
                await news.wait()
            await news.wait()
            handed = msgspec.msgpack.encode(execution.hand_over())
            running.cancel()
            return handed
    outcome = running.result()
    report = {
        "state": outcome.state,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "reason": outcome.reason,
        "total": capture.total(STDOUT),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a count, as short as can be
    }
    sys.stdout.write(json.dumps(report))
    return None


def main(folder: Path, restarts: int, params: str) -> None:
    """Be one image."""
    handed = asyncio.run(_work(folder, restarts, params))
    if handed is None:
        return
    (folder / "handover").write_bytes(handed)
    if (folder / "gate").exists():
        pid = msgspec.msgpack.decode(handed, type=ProcessHandover).record.pid
        (folder / "gate").write_text("go\n")
        while (stat := read_stat(pid)) is not None and not stat.is_dead:
            os.sched_yield()
    sys.stdout.flush()
    again = [sys.executable, "-X", "faulthandler", __file__]
    os.execv(sys.executable, [*again, str(folder), str(restarts - 1), params])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
