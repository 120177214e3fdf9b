"""A center's store in a process of its own, for tests that kill or freeze it.

    python committing.py HOME URL|- FIRST LAST

It writes numbered rows, each with an event, from several submitters at once, and prints the number of each
row when its submit has returned. It ends after LAST, or, if that
is 0, never.
"""

import asyncio
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from outrider.center.store.engine import Store, open_store
from outrider.kit.clock import SystemClock
from tests.integration.center.store.parts import Note, served

_SUBMITTERS = 4


async def _submit(store: Store, note: Note, numbers: Iterator[int]) -> None:
    for number in numbers:
        await store.writer.submit(note, (f"{number}", "x" * 500))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


async def _main(home: Path, url: str | None, first: int, last: int) -> None:
    store = await open_store(url, home=home, clock=SystemClock())
    numbers = iter(range(first, last + 1)) if last else itertools.count(first)
    note = Note()
    async with served(store.writer), asyncio.TaskGroup() as tasks:
        for _ in range(_SUBMITTERS):
            tasks.create_task(_submit(store, note, numbers))
    await store.close()


if __name__ == "__main__":
    home, url, first, last = sys.argv[1:]
    asyncio.run(_main(Path(home), None if url == "-" else url, int(first), int(last)))
