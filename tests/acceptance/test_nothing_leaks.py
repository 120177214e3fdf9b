"""Streams of a real host come and go in every way; agent and center hold afterwards what they held before."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from outrider.client import AsyncCenter
from outrider.client.files import Download
from outrider.client.logs import LogLine
from outrider.client.telemetry import MetricsAway
from outrider.client.terminal import TerminalCut, TerminalOpened, TerminalWindow, open_terminal
from outrider.domain.errors import OutriderError
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit.tasks import Tasks
from tests.acceptance.fleet import Fleet, Host
from tests.fixtures.processes import Program
from tests.fixtures.proxy import Proxy
from tests.fixtures.terminals import eventually

_TIMES: Final = 20
_AT_ONCE: Final = 10
_SOME_THREADS: Final = 6
"""A pool of threads grows as it is used, up to so many on a small machine; one for each stream were more."""
_LARGE: Final = 32
"""MiB of a file: more than all that is on its way in sockets and buffers, packed, too."""
_BLOCK: Final = bytes(256 * 1024)

Broken = Callable[[], Awaitable[None]]
"""Returns once whoever reads or writes has noticed that the stream is broken."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: descriptors by what they are of, children, threads."""

    descriptors: Counter[str]
    children: int
    threads: int

    @classmethod
    def by(cls, program: Program) -> "Held":
        """Look at a running process."""
        process = Path(f"/proc/{program.pid}")
        found: Counter[str] = Counter()
        for entry in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                found[_kind_of(str(entry.readlink()))] += 1
        # Readers of the center's database are opened as they are needed, and kept.
        del found["database"]
        threads = list((process / "task").iterdir())
        children = 0
        for thread in threads:
            with suppress(FileNotFoundError, ProcessLookupError):  # ended since it was listed
                children += len((thread / "children").read_text().split())
        return cls(found, children, len(threads))

    def within(self, before: "Held") -> bool:
        """Tell whether this is no more than was held before."""
        return (
            self.descriptors <= before.descriptors
            and self.children <= before.children
            and self.threads <= before.threads + _SOME_THREADS
        )


def _kind_of(target: str) -> str:
    name = target.partition(":[")[0]
    return "database" if ".db" in Path(target).name else name


@dataclass(frozen=True, slots=True)
class Place:
    """A host behind a proxy, who asks for its streams, and a folder on it."""

    fleet: Fleet
    host: Host
    proxy: Proxy
    center: AsyncCenter
    folder: Path
    forbidden: Counter[str] = field(default_factory=Counter)
    """How many who are at it want what forbidden."""

    @contextmanager
    def forbidding(self, ability: str) -> Iterator[None]:
        """Let the host's policy forbid an ability, until the last who wants it so is done."""
        policy = Path(self.host.program.settings["policy"])
        self.forbidden[ability] += 1
        policy.write_text(f'forbid = ["{ability}"]\n')
        try:
            yield
        finally:
            self.forbidden[ability] -= 1
            if not self.forbidden[ability]:
                policy.unlink()

    def held(self) -> tuple[Held, Held]:
        """Return what agent and center hold now."""
        return Held.by(self.host.program), Held.by(self.fleet.center.program)

    async def until_like(self, before: tuple[Held, Held]) -> None:
        """Return once agent and center hold no more than before."""

        async def look() -> tuple[Held, Held]:
            return self.held()

        try:
            await eventually(
                look, lambda now: all(one.within(other) for one, other in zip(now, before, strict=True))
            )
        except TimeoutError:
            raise AssertionError(f"agent and center held {before} and hold {self.held()}") from None
        assert not list(self.folder.glob(".outrider-*"))

    def errors(self) -> list[str]:
        """Return what agent and center have logged as errors."""
        lines = [line for log in self.fleet.logs for line in log.read_text().splitlines()]
        return [line for line in lines if " ERROR " in line]

    async def until_quiet(self) -> None:
        """Return once nothing runs on the host: shells take their time to end."""

        async def look() -> Held:
            return Held.by(self.host.program)

        await self.fleet.answers(self.host)
        await eventually(look, lambda held: not held.children)


@pytest.fixture
async def place(fleet: Fleet) -> AsyncIterator[Place]:
    """A host, with a file that is much larger than all that is on its way, and a log."""
    async with AsyncExitStack() as stack:
        proxy = await fleet.add_proxy()
        host = await fleet.add_host("host", proxy=proxy)
        token = fleet.api.headers["Authorization"].removeprefix("Bearer ")
        center = await stack.enter_async_context(AsyncCenter(fleet.url(), token=token))
        folder = fleet.folder / "on-the-host"
        folder.mkdir()
        (folder / "large").write_bytes(os.urandom(_LARGE << 20))
        (folder / "log").write_text("a line\n")
        yield Place(fleet, host, proxy, center, folder)


class Metrics:
    """A host's figures, live."""

    @asynccontextmanager
    async def opened(self, place: Place) -> AsyncIterator[Broken]:
        """Read the first."""
        async with aclosing(place.center.watch_metrics(place.host.agent_id)) as steps:
            assert isinstance(await anext(steps), Snapshot)

            async def broken() -> None:
                while not isinstance(await anext(steps), MetricsAway):
                    pass

            yield broken

    async def refused(self, place: Place) -> None:
        """The host's policy forbids them."""
        with place.forbidding("metrics"):
            async with aclosing(place.center.watch_metrics(place.host.agent_id)) as steps:
                while True:
                    await anext(steps)


class Logs:
    """A log that is followed."""

    @asynccontextmanager
    async def opened(self, place: Place) -> AsyncIterator[Broken]:
        """Read the first line."""
        path = str(place.folder / "log")
        async with aclosing(place.center.logs(place.host.agent_id, path=path)) as steps:
            assert isinstance(await anext(steps), LogLine)

            async def broken() -> None:
                await anext(steps)

            yield broken

    async def refused(self, place: Place) -> None:
        """There is no such file."""
        async with aclosing(place.center.logs(place.host.agent_id, path="/nowhere/log")) as steps:
            await anext(steps)


class Down:
    """A file that is downloaded, or with `archive` a folder."""

    def __init__(self, name: str, *, archive: bool) -> None:
        self._name = name
        self._archive = archive

    @asynccontextmanager
    async def opened(self, place: Place) -> AsyncIterator[Broken]:
        """Read the first piece."""
        path = str(place.folder / self._name)
        async with aclosing(
            place.center.download(place.host.agent_id, path, archive=self._archive)
        ) as pieces:
            assert isinstance(await anext(pieces), Download)
            assert isinstance(await anext(pieces), bytes)

            async def broken() -> None:
                with pytest.raises(OutriderError):
                    async for _ in pieces:
                        pass

            yield broken

    async def refused(self, place: Place) -> None:
        """There is no such file."""
        path = "/nowhere/file"
        async with aclosing(
            place.center.download(place.host.agent_id, path, archive=self._archive)
        ) as pieces:
            await anext(pieces)


class Up:
    """A file that is uploaded, by a sender that stops in the middle."""

    @asynccontextmanager
    async def opened(self, place: Place) -> AsyncIterator[Broken]:
        """Send until the host has begun to write."""
        sent, goes_on = asyncio.Event(), asyncio.Event()

        async def content() -> AsyncIterator[bytes]:
            for _ in range(8):
                yield _BLOCK
            sent.set()
            await goes_on.wait()
            while True:
                yield _BLOCK

        async with Tasks("uploads") as tasks:
            dest = str(place.folder / "upload")
            task = tasks.start("upload", place.center.upload(place.host.agent_id, dest, content()))
            await sent.wait()

            async def broken() -> None:
                goes_on.set()
                with pytest.raises(OutriderError):
                    await task

            yield broken

    async def refused(self, place: Place) -> None:
        """There is no such folder."""

        async def content() -> AsyncIterator[bytes]:
            yield _BLOCK

        await place.center.upload(place.host.agent_id, "/nowhere/file", content())


class Terminal:
    """A shell."""

    @asynccontextmanager
    async def opened(self, place: Place) -> AsyncIterator[Broken]:
        """Open a window, and leave it on purpose; a terminal whose window is cut is ended by name."""
        async with open_terminal(place.center, place.host.agent_id) as window:
            opened = await window.next()
            assert isinstance(opened, TerminalOpened)

            async def broken() -> None:
                await _until_cut(window)
                await place.fleet.answers(place.host)
                await place.fleet.api.call("DELETE", f"/terminals/{opened.terminal}")

            yield broken
            await window.leave()

    async def refused(self, place: Place) -> None:
        """There is no such user."""
        async with open_terminal(place.center, place.host.agent_id, user="nobody-of-that-name"):
            pass


async def _until_cut(window: TerminalWindow) -> None:
    while not isinstance(await window.next(), TerminalCut):
        pass


Kind = Metrics | Logs | Down | Up | Terminal
KINDS: Final[dict[str, Kind]] = {
    "metrics": Metrics(),
    "logs": Logs(),
    "file down": Down("large", archive=False),
    "folder down": Down("", archive=True),
    "file up": Up(),
    "terminal": Terminal(),
}


async def leave(kind: Kind, place: Place) -> None:
    """Open some at once, and leave each in the middle."""

    async def one() -> None:
        async with kind.opened(place):
            pass

    await _at_once(one)


async def lose(kind: Kind, place: Place) -> None:
    """Open some at once, and cut the host's line while all are open."""
    all_open = asyncio.Barrier(_AT_ONCE + 1)

    async def one() -> None:
        async with kind.opened(place) as broken:
            await all_open.wait()
            await broken()

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one())
        await all_open.wait()
        place.proxy.cut()
    await place.fleet.answers(place.host)


async def refuse(kind: Kind, place: Place) -> None:
    """Ask some times at once for what the host refuses."""

    async def one() -> None:
        with pytest.raises(OutriderError):
            await kind.refused(place)

    await _at_once(one)


async def _at_once(one: Callable[[], Coroutine[None, None, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one())


@pytest.mark.parametrize("name", KINDS)
async def test_streams_leave_nothing(place: Place, name: str) -> None:
    """Left by the reader, cut with the link, refused by the host: all is as before, and no error to any log.

    Descriptors, children and threads of agent and center are what they were before.
    """
    for way in (leave, lose, refuse):
        await way(KINDS[name], place)
        await place.until_quiet()
    before = place.held()
    for way in (leave, lose, refuse):
        for _ in range(_TIMES // _AT_ONCE):
            await way(KINDS[name], place)
            await place.until_quiet()
        await place.until_like(before)
    assert not place.errors()
