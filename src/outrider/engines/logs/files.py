"""Following a log file without holding up the event loop.

The file is looked at every few hundredths of a second while it grows, every quarter of a second when it is
quiet. Being told by inotify instead would be some hundredths of a second quicker, at the price of a watcher
with megabytes of its own, and of files on network and container mounts that nobody tells of.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Final

from outrider.engines.files.rooted import Roots
from outrider.engines.logs.events import Event
from outrider.engines.logs.file_position import FilePosition
from outrider.engines.logs.file_tail import FileTail
from outrider.kit.clock import Clock
from outrider.kit.worker import Worker

SHORTEST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.25


async def follow_file(
    roots: Callable[[], Roots],
    path: str,
    *,
    clock: Clock,
    lines: int,
    pattern: str = "",
    after: str = "",
    follow: bool = True,
) -> AsyncGenerator[Event, None]:
    """Give a file's last `lines` lines, then what is written to it; without `follow` only the former.

    `roots` makes the folders that may be looked into; it is called in a thread, since it blocks.

    Instead of the last lines it goes on after a position (`after`), also in a file that was rotated since. It
    reads no further than it is asked to go on; a live reader that is over 8 MiB behind is told how many lines
    it skips. Raises NotFound, Forbidden, NotAFile, HostFault, Invalid (position, pattern) and PatternTooSlow.
    """
    position = FilePosition.parse(after) if after else None
    tail = FileTail(roots, path, clock, pattern=pattern)
    async with Worker("log file") as worker:
        await worker.hold(lambda: tail)
        try:
            step = await worker.call(lambda: tail.start(lines, position))
            for event in step.events:
                yield event
            pause = SHORTEST_PAUSE
            while True:
                step = await worker.call(tail.step)
                for event in step.events:
                    yield event
                if not step.is_idle:
                    pause = SHORTEST_PAUSE
                elif follow:
                    await clock.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
                else:
                    break
            for event in await worker.call(tail.finish):
                yield event
        finally:
            tail.abandon()
