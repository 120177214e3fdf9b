"""Where a process spends its time, sampled from outside by py-spy when somebody asks for it."""

import asyncio
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from bench.rig.figures import say

_TOP: Final = 45
_RATE: Final = 500


@asynccontextmanager
async def profiled(pid: int, *, wanted: bool) -> AsyncIterator[None]:
    """Sample process `pid` during the block, if `wanted`, and print the functions that take most."""
    program = shutil.which("py-spy")
    if not wanted or program is None:
        if wanted:
            say("no py-spy here: nothing is profiled")
        yield
        return
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        file = Path(folder) / "stacks"
        options = (f"--rate={_RATE}", "--format=raw", f"--output={file}", "--nonblocking", "--gil")
        sampler = await asyncio.create_subprocess_exec(
            program,
            "record",
            f"--pid={pid}",
            *options,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):  # it ends by itself when what it samples has ended
                sampler.send_signal(signal.SIGINT)
            await sampler.wait()
            say(_summary(file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""))


def _summary(stacks: str) -> str:
    """Sum folded stacks up: each function's share of samples by itself and with what it calls."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        names = frames.split(";")
        total += int(count)
        own[names[-1]] += int(count)
        for name in set(names):
            whole[name] += int(count)
    lines = [f"profile, {total} samples", "  whole    own  function"]
    lines += (
        f"  {count / total:6.1%} {own[name] / total:6.1%}  {name}" for name, count in whole.most_common(_TOP)
    )
    lines.append("  most by itself:")
    lines += (f"  {count / total:6.1%}  {name}" for name, count in own.most_common(_TOP))
    return "\n".join(lines)
