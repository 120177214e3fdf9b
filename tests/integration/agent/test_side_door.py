"""The way to the center for the program that fetches versions: it leads there, and nothing of it stays."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import pytest

from outrider.agent.side_door import MOST, SideDoor
from outrider.bootstrap.side_door import CENTER_SOCKET
from outrider.bootstrap.side_door import SideDoor as Way
from outrider.kit.tasks import Tasks

_PATIENCE: Final = 20.0
_WAIT: Final = 5.0


class _Center:
    """A center that is dialled and keeps its ends, as blocking sockets."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.ends: list[socket.socket] = []
        self.away: OSError | None = None

    async def connect(self) -> socket.socket:
        if self.away is not None:
            raise self.away
        ours = socket.create_connection(self._listening.getsockname())
        end, _ = self._listening.accept()
        end.settimeout(_WAIT)
        self.ends.append(end)
        ours.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
        return ours


@asynccontextmanager
async def _center() -> AsyncIterator[_Center]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        center = _Center(listening)
        try:
            async with asyncio.timeout(_PATIENCE):
                yield center
        finally:
            for end in center.ends:
                end.close()


async def _through(place: str) -> socket.socket:
    """Go through as the program does. Raises OSError."""
    return await asyncio.to_thread(Way(Path(place), Path("/identity")).connect, _WAIT)


def _received(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := connection.recv(count - len(data))):
        data += piece
    return data


async def _is_over(connection: socket.socket) -> bool:
    return await asyncio.to_thread(connection.recv, 1) == b""


def _mode(place: str) -> int:
    return stat.S_IMODE(Path(place).stat().st_mode)


def _left(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_it_leads_to_the_center_and_is_gone_afterwards(tmp_path: Path) -> None:
    """Bytes come as they went, both ways, from a folder of any depth; only this user may go through."""
    folder = tmp_path.joinpath(*["a-long-name-of-a-folder"] * 6)
    folder.mkdir(parents=True)
    async with _center() as center:
        async with SideDoor(folder, center.connect).open() as variables:
            place = variables[CENTER_SOCKET]
            assert _mode(place) == 0o600
            with await _through(place) as program:
                (end,) = center.ends
                sent = bytes(range(256)) * 4096
                _, came = await asyncio.gather(
                    asyncio.to_thread(program.sendall, sent), asyncio.to_thread(_received, end, len(sent))
                )
                assert came == sent
                await asyncio.to_thread(end.sendall, b"answer")
                end.close()
                assert await asyncio.to_thread(_received, program, 6) == b"answer"
                assert await _is_over(program)
        assert _left(folder) == []
        with pytest.raises(ConnectionError, match="leads there no more"):
            await _through(place)


async def test_who_leaves_is_told_to_the_center(tmp_path: Path) -> None:
    """A program that is killed ends its connection there."""
    async with _center() as center, SideDoor(tmp_path, center.connect).open() as variables:
        program = await _through(variables[CENTER_SOCKET])
        program.close()
        assert await _is_over(center.ends[0])


async def test_its_end_cuts_what_goes_through(tmp_path: Path) -> None:
    """On both sides, and at once; two of them do not get in each other's way."""
    async with _center() as center:
        door = SideDoor(tmp_path, center.connect)
        async with door.open() as others:
            async with door.open() as variables:
                program = await _through(variables[CENTER_SOCKET])
            with closing(program):
                assert await _is_over(program)
                assert await _is_over(center.ends[0])
            (await _through(others[CENTER_SOCKET])).close()
    assert _left(tmp_path) == []


@pytest.mark.parametrize(
    ("away", "said"),
    [
        (ConnectionError("no link is open on which to ask"), "did not: no link is open on which to ask"),
        (TimeoutError(), "did not: it was asked for a connection, and opened none in time"),
        (OSError("x" * 5000), "did not: xxx"),
    ],
)
async def test_a_center_that_is_not_there_is_told(tmp_path: Path, away: OSError, said: str) -> None:
    """In words, at once; the next one gets through when it is back."""
    async with _center() as center, SideDoor(tmp_path, center.connect).open() as variables:
        center.away = away
        with pytest.raises(ConnectionError, match=said):
            await _through(variables[CENTER_SOCKET])
        center.away = None
        (await _through(variables[CENTER_SOCKET])).close()


async def test_a_crowd_is_hung_up_on(tmp_path: Path) -> None:
    """No more than a few go through at a time."""
    async with _center() as center, SideDoor(tmp_path, center.connect).open() as variables:
        crowd = [await _through(variables[CENTER_SOCKET]) for _ in range(MOST)]
        with pytest.raises(OSError, match=r"hung up|reset"):
            await _through(variables[CENTER_SOCKET])
        for program in crowd:
            program.close()


async def test_a_program_that_does_not_wait_leaves_nothing(tmp_path: Path) -> None:
    """It is gone while the center is asked; what the center opens then is closed."""
    asked, opened = asyncio.Event(), asyncio.Event()

    def later(connect: Callable[[], Awaitable[socket.socket]]) -> Callable[[], Awaitable[socket.socket]]:
        async def connect_later() -> socket.socket:
            asked.set()
            await opened.wait()
            return await connect()

        return connect_later

    async with (
        _center() as center,
        SideDoor(tmp_path, later(center.connect)).open() as variables,
        Tasks("test") as tasks,
    ):
        going = tasks.start("go", _through(variables[CENTER_SOCKET]))
        await asked.wait()
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(variables[CENTER_SOCKET])
        opened.set()
        (await going).close()
        while len(center.ends) < 2:  # noqa: ASYNC110 - the other end is closed by itself
            await asyncio.sleep(0)
        for end in center.ends:
            assert await _is_over(end)


async def test_what_a_killed_agent_has_left_is_swept_away(tmp_path: Path) -> None:
    """The socket is removed, and nothing else."""
    async with _center() as center:
        door = SideDoor(tmp_path, center.connect)
        (tmp_path / "center-ca.pem").touch()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / "center-0123abcd.sock"))
        door.sweep()
    assert _left(tmp_path) == ["center-ca.pem"]
