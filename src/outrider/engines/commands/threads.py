"""Calls that may hang (a dead network mount, a slow directory server) in a thread of their own."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def call_in_thread(name: str, function: Callable[[], T], dispose: Callable[[T], None]) -> asyncio.Future[T]:
    """Run `function` in a new thread and return the future of its result.

    Who no longer wants the result settles the future (cancels it or sets an exception): what comes too late
    goes to `dispose`, in a thread. A call that hangs for ever holds up neither a pool nor the agent's exit.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def fail(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def settle(result: T) -> None:
        if future.done():
            threading.Thread(target=dispose, args=(result,), name=f"{name}-dispose", daemon=True).start()
        else:
            future.set_result(result)

    def work() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            _tell(loop, fail, error)
            return
        if not _tell(loop, settle, result):
            dispose(result)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[[T], None], value: T) -> bool:
    """Call `function` on the loop; False when the loop is closed and nobody waits any more."""
    try:
        loop.call_soon_threadsafe(function, value)
    except RuntimeError:
        return False
    return True
