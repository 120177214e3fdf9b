"""Short-lived tasks with an owner: what stands in for a bare create_task everywhere."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

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

    def begin(self, name: str, coro: Coroutine[Any, Any, object]) -> None:
        """Run `coro` here and now up to where it first waits; what is left becomes a task as with `spawn`.

        For what seldom waits and is done thousands of times: a task costs more than such a call. Before its
        first wait it has no task of its own, so it must not look at the current one (as time-outs do).
        Raises as `start` does, and what `coro` raises before it waits.
        """
        if not self._open:
            self._refuse(coro, f"{name} can't be started, the tasks are closed", TasksClosed)
        try:
            waited_for = coro.send(None)
        except StopIteration:
            return
        _ = self._create(name, _resumed(coro, waited_for))

    def start(self, name: str, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `coro` as a task called `name` and return it, to be awaited.

        Raises TasksClosed outside the block and TooManyTasks at the limit; the coroutine is then
        closed, not left behind.
        """
        return self._create(name, coro)

    def _create(self, name: str, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if not self._open:
            self._refuse(coro, f"{name} can't be started, the tasks are closed", TasksClosed)
        if self._limit is not None and len(self._running) >= self._limit:
            self._refuse(
                coro, f"{name} can't be started, {self._limit} tasks are running already", TooManyTasks
            )
        task = asyncio.get_running_loop().create_task(coro, name=f"{self._name}/{name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _refuse(self, coro: Coroutine[Any, Any, object], reason: str, error: type[RuntimeError]) -> NoReturn:
        coro.close()
        raise error(f"{self._name}: {reason}")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", task=task.get_name(), exc_info=error)


async def _resumed(coro: Coroutine[Any, Any, T], waited_for: Any) -> T:
    """Go on with a coroutine that has been run up to its first wait."""
    return await _drive(coro, waited_for)


@types.coroutine
def _drive(coro: Coroutine[Any, Any, T], waited_for: Any) -> Generator[Any, Any, T]:
    while True:
        try:
            answer = yield waited_for
        except GeneratorExit:
            coro.close()
            raise
        except BaseException as error:  # noqa: BLE001 - it is handed on to the coroutine
            step = partial(coro.throw, error)
        else:
            step = partial(coro.send, answer)
        try:
            waited_for = step()
        except StopIteration as end:
            result: T = end.value
            return result
