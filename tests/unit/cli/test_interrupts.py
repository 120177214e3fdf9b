"""Ctrl-C that is heard even in the moment in which the loop begins to wait."""

import asyncio
import signal
import threading

from outrider.cli.interrupts import woken_by_signals


def wakeup_fd() -> int:
    """Where signals are noted now."""
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found)
    return found


async def test_a_signal_wakes_a_loop_that_waits_for_nothing_else() -> None:
    """It runs a step for a signal that another thread was given, although nothing else happens."""
    heard = asyncio.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    main = threading.get_ident()
    try:
        with woken_by_signals():
            assert wakeup_fd() >= 0
            threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1)).start()
            async with asyncio.timeout(10):
                await heard.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_all_is_as_before_afterwards() -> None:
    """What noted signals before does so again, also after work that went wrong."""
    before = wakeup_fd()
    try:
        with woken_by_signals():
            raise LookupError  # noqa: TRY301 (as the work of a command does)
    except LookupError:
        pass
    assert wakeup_fd() == before
