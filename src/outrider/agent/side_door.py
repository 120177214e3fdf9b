"""Listen mode: a way to the center for a program of this agent's that would dial it, while it is at work.

It is a socket in the agent's folder. Each connection to it is joined to one that the center has dialled;
this process carries bytes and reads none of them: the program proves the center, and itself, end to end.
Before the first of them it is told how it stands, on a line: nothing, or why the center is not there.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from outrider.bootstrap.side_door import CENTER_SOCKET, MAX_LINE
from outrider.kit import logs
from outrider.kit.tasks import Tasks

log = logs.get(__name__)

MOST: Final = 4
"""Connections at a time; more are hung up on. The program has one, and one that it has given up."""
_PIECE: Final = 64 * 1024
_PREFIX: Final = "center-"
_SUFFIX: Final = ".sock"


class SideDoor:
    """Opens the way when it is needed, for each who needs it another one."""

    def __init__(self, folder: Path, connect: Callable[[], Awaitable[socket.socket]]) -> None:
        """`connect` gives a connected socket that does not block, before TLS. It raises OSError."""
        self._folder = folder
        self._connect = connect

    def sweep(self) -> None:
        """Remove what an agent that died has left; none may be open. Raises OSError."""
        for left in self._folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            left.unlink()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Mapping[str, str]]:
        """Keep a way open while the block runs; give the variables by which a program finds it.

        In the end all that goes through is cut. Raises OSError where none can be opened.
        """
        place = self._folder / f"{_PREFIX}{secrets.token_hex(4)}{_SUFFIX}"
        askers: set[socket.socket] = set()
        with _listening(place) as listening:
            try:
                async with Tasks("side door") as tasks:
                    tasks.spawn("accept", self._accept(listening, askers, tasks))
                    yield {CENTER_SOCKET: str(place)}
            finally:
                for asker in askers:
                    asker.close()

    async def _accept(self, listening: socket.socket, askers: set[socket.socket], tasks: Tasks) -> None:
        while True:
            asker, _ = await asyncio.get_running_loop().sock_accept(listening)
            if len(askers) >= MOST:
                asker.close()
                continue
            askers.add(asker)
            tasks.spawn("serve", self._serve(asker, askers))

    async def _serve(self, asker: socket.socket, askers: set[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        try:
            try:
                center = await self._connect()
            except OSError as error:
                await loop.sock_sendall(asker, _refusal(error))
                return
            with center:
                center.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_sendall(asker, b"\n")
                await _join(asker, center)
        except OSError as error:
            log.info("who came to the center by this host's agent is gone", reason=logs.describe_error(error))
        finally:
            asker.close()
            askers.discard(asker)


def _refusal(error: OSError) -> bytes:
    # A TimeoutError is one of them, and says nothing.
    why = str(error) or "it was asked for a connection, and opened none in time"
    return " ".join(why.split()).encode()[: MAX_LINE - 1] + b"\n"


async def _join(one: socket.socket, other: socket.socket) -> None:
    """Carry both directions until either ends."""
    async with Tasks("side door") as tasks:
        directions = [
            tasks.start("out", _carry(one, other)),
            tasks.start("in", _carry(other, one)),
        ]
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)


async def _carry(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    piece = memoryview(bytearray(_PIECE))
    try:
        while count := await loop.sock_recv_into(source, piece):
            await loop.sock_sendall(target, piece[:count])
    except OSError as error:
        log.debug("a connection broke", reason=logs.describe_error(error))


@contextmanager
def _listening(place: Path) -> Iterator[socket.socket]:
    """Listen at a path of any length, for this user alone; nothing of it stays. Raises OSError."""
    folder = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            # The kernel takes 107 bytes as an address; a folder may lie deeper.
            listening.bind(f"/proc/self/fd/{folder}/{place.name}")
            try:
                place.chmod(0o600)
                listening.listen(MOST)
                listening.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
                yield listening
            finally:
                place.unlink(missing_ok=True)
    finally:
        os.close(folder)
