"""Short-lived tasks with an owner: what stands in for a bare create_task everywhere."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from outrider.kit import logs

T = TypeVar("T")

log = logs.get(__name__)


class TasksClosed(RuntimeError):
    """A task was started with an owner that has not been entered or has been left."""


class TooManyTasks(RuntimeError):
    """The owner already runs as many tasks as its limit allows."""


class Tasks:
    """Owns named tasks: `async with Tasks("link") as tasks: tasks.spawn("heartbeat", beat())`.

    A task that fails is logged with its name and disturbs nobody else; whoever awaits it gets the exception
    too. On leaving the block all are cancelled and awaited. With a `limit`, at most that many run at once.
    """

    def __init__(self, name: str, *, limit: int | None = None) -> None:
        self._name = name
        self._limit = limit
        self._running: set[asyncio.Task[Any]] = set()
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, name: str, coro: Coroutine[Any, Any, object]) -> None:
        """Start `coro` as a task called `name` that nobody waits for. Raises as `start` does."""
        _ = self._create(name, coro)

    def start(self, name: str, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `coro` as a task called `name` and return it, to be awaited.

        Raises TasksClosed outside the block and TooManyTasks at the limit; the coroutine is then
        closed, not left behind.
        """
        return self._create(name, coro)

    def _create(self, name: str, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if not self._open:
            coro.close()
            msg = f"{self._name}: {name} can't be started, the tasks are closed"
            raise TasksClosed(msg)
        if self._limit is not None and len(self._running) >= self._limit:
            coro.close()
            msg = f"{self._name}: {name} can't be started, {self._limit} tasks are running already"
            raise TooManyTasks(msg)
        task = asyncio.get_running_loop().create_task(coro, name=f"{self._name}/{name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", task=task.get_name(), exc_info=error)
