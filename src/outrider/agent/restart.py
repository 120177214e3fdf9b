"""Restart in place: a new image of the program in the same process, so that what runs, runs on.

The commands' processes stay this process's children across `execv`, and their pipes stay open. What the new
image has to know about them travels in an anonymous file in memory that no other process can open, whose
descriptor the variable OUTRIDER_RESTART_FD names; the lock on the folder is passed on the same way.
"""

import asyncio
import os
import sys
from collections.abc import MutableMapping, Sequence
from typing import Final, NoReturn

import msgspec

from outrider.agent.link import Link
from outrider.agent.task_queue import TaskQueue
from outrider.agent.work import CommandWork, Handover
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.launch import PARENT_FD
from outrider.kit.supervise import Ready, StopAll

log = logs.get(__name__)

RESTART_FD: Final = "OUTRIDER_RESTART_FD"
RESTART_CODE: Final = 75
"""The exit code by which the service tells `main` to start the program again; no process ends with it."""
_MAX_BATON: Final = 16 * 1024 * 1024
_SETTLE_SECONDS: Final = 3.0


class Baton(msgspec.Struct, frozen=True, kw_only=True):
    """What one image of the program hands to the next."""

    lock_fd: int
    parent_fd: int | None = None
    commands: list[Handover] = []


class Restarter:
    """A service that restarts the program in place when it is asked to."""

    name = "restart"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked = asyncio.Event()
        self._commands: tuple[TaskQueue, CommandWork] | None = None
        self._link: Link | None = None
        self.handed: list[Handover] = []

    def looks_after(self, queue: TaskQueue, work: CommandWork, link: Link) -> None:
        """Hand over the commands of this queue, and let the link say why it goes."""
        self._commands = (queue, work)
        self._link = link

    def ask(self) -> None:
        """Restart soon; asking again changes nothing."""
        self._asked.set()

    async def serve(self, ready: Ready) -> None:
        """Wait to be asked; then take the commands that run out of this image's hands and stop it."""
        ready()
        await self._asked.wait()
        log.info("restarting in place")
        if self._link is not None:
            self._link.restarting = True
        if self._commands is not None:
            await self._take_out_of_hands(*self._commands)
        raise StopAll("restarting in place", exit_code=RESTART_CODE)

    async def _take_out_of_hands(self, queue: TaskQueue, work: CommandWork) -> None:
        try:
            await self._clock.wait_for(queue.settle_starts(), _SETTLE_SECONDS)
        except TimeoutError:
            log.warning("some commands can't be handed over; they will be reported as interrupted")
        running = queue.hand_over()
        self.handed = work.hand_over(running)
        # What is not handed over has just ended: its result must be on disk before this image goes.
        ending = running.keys() - {handover.record.command_id for handover in self.handed}
        try:
            await self._clock.wait_for(queue.ended(ending), _SETTLE_SECONDS)
        except TimeoutError:
            log.warning("some commands do not end in time; they will be reported as interrupted")


def start_again(
    baton: Baton, environ: MutableMapping[str, str], program: Sequence[str] | None = None
) -> NoReturn:
    """Replace this program by a new image of itself, or by `program`, which becomes one.

    Raises OSError when it can't be started.
    """
    descriptor = os.memfd_create("outrider-restart", 0)
    os.write(descriptor, msgspec.msgpack.encode(baton))
    os.set_inheritable(baton.lock_fd, True)  # noqa: FBT003 - the standard library's signature
    if baton.parent_fd is not None:
        os.set_inheritable(baton.parent_fd, True)  # noqa: FBT003 - the standard library's signature
        environ[PARENT_FD] = str(baton.parent_fd)
    environ[RESTART_FD] = str(descriptor)
    arguments = program or [sys.executable, *sys.orig_argv[1:]]
    os.execve(arguments[0], [*arguments], dict(environ))


def take_baton(environ: MutableMapping[str, str]) -> Baton | None:
    """Return what the image before this one has handed over, once; None at an ordinary start."""
    text = environ.pop(RESTART_FD, "")
    if not text.isdecimal():
        return None
    descriptor = int(text)
    try:
        baton = msgspec.msgpack.decode(os.pread(descriptor, _MAX_BATON, 0), type=Baton)
        os.set_inheritable(baton.lock_fd, False)  # noqa: FBT003 - the standard library's signature
    except (OSError, msgspec.DecodeError) as error:
        log.warning("what was handed over can't be read; commands are reported as interrupted", error=error)
        return None
    os.close(descriptor)
    return baton
