"""Right of way: what somebody waits for goes first, and bulk stands aside for it, for a moment at most."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class RightOfWay:
    """Counts what goes first; what is bulk gives way to it between two pieces."""

    def __init__(self, *, most: float, after: float) -> None:
        """Nobody stands aside for longer than `most` seconds; way is given until `after` seconds later."""
        self._most = most
        self._after = after
        self._ahead = 0
        self._until = 0.0
        self._clear = asyncio.Event()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Go first for the block, and what follows from it shortly after."""
        self._ahead += 1
        self._clear.clear()
        try:
            yield
        finally:
            self._ahead -= 1
            if not self._ahead:
                self._until = asyncio.get_running_loop().time() + self._after
                self._clear.set()

    async def give(self) -> None:
        """Return at once when nothing goes first; else when it is through, or the time is up."""
        loop = asyncio.get_running_loop()
        if not self._ahead and loop.time() >= self._until:
            return
        try:
            async with asyncio.timeout(self._most):
                while self._ahead or loop.time() < self._until:
                    if self._ahead:
                        await self._clear.wait()
                    else:
                        await asyncio.sleep(self._until - loop.time())
        except TimeoutError:
            return
