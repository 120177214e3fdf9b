"""Files on their way to a host and from it, while disks fill up, connections break and programs die."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
import psutil
import pytest

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from tests.acceptance.fleet import Fleet, Host
from tests.acceptance.test_full_disk import on_small_disk
from tests.fixtures.proxy import Proxy

MEGABYTE: Final = 1024 * 1024
_PATIENCE: Final = 60.0
_LOOKS: Final = 1500
_NOT_NOW: Final = 6
_AWAY: Final = 7
_CUTS: Final = 3
_HUGE: Final = 2048 * MEGABYTE
_LARGE: Final = 512 * MEGABYTE
_SMALL: Final = 8 * MEGABYTE
_GROWTH: Final = 32 * MEGABYTE
_FORM: Final = {"Content-Type": "multipart/form-data; boundary=b"}
_FORM_END: Final = b"\r\n--b--\r\n"


class Copy:
    """`outrider cp` as it runs."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def give(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def take(self, size: int) -> bytes:
        """Read from its standard output; it does not go on while nobody does."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            return await self._process.stdout.readexactly(size)

    async def ended(self) -> tuple[int | None, str]:
        """End its input and let it end; return its exit code and what it said of errors."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(_PATIENCE):
            _, said = await self._process.communicate()
        return self._process.returncode, said.decode()


@asynccontextmanager
async def copying(fleet: Fleet, source: str, dest: str, proxy: Proxy | None = None) -> AsyncIterator[Copy]:
    """Run `outrider cp`, signed in, to the center or to a proxy before it."""
    config = fleet.folder / ("config" if proxy is None else f"config-{proxy.port}")
    saved = SavedCenter(
        url=fleet.url(proxy),
        username="admin",
        token=fleet.api.headers["Authorization"].removeprefix("Bearer "),
    )
    centers.save(centers.default_path({"XDG_CONFIG_HOME": str(config)}), Centers().with_center("it", saved))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outrider", "cp", "--quiet", source, dest,
        env={**clean, "XDG_CONFIG_HOME": str(config), "XDG_CACHE_HOME": str(config)},
        stdin=PIPE, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        yield Copy(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def copied(fleet: Fleet, source: str, dest: str, proxy: Proxy | None = None) -> tuple[int | None, str]:
    """Run `outrider cp` to its end."""
    async with copying(fleet, source, dest, proxy) as copy:
        return await copy.ended()


async def until(holds: Callable[[], bool]) -> None:
    """Return once the disk is as it should be."""
    for _ in range(_LOOKS):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about in time")


def parts_in(folder: Path) -> list[Path]:
    """Temporary files."""
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def has_begun(folder: Path, size: int) -> Callable[[], bool]:
    """Tell whether that much of an upload has come."""
    return lambda: any(part.stat().st_size >= size for part in parts_in(folder))


@pytest.fixture
def there(folder: Path) -> Path:
    """Give the folder that hosts read and write."""
    there = folder / "there"
    there.mkdir()
    return there


def noise(file: Path, size: int) -> bytes:
    """Make a file that is like no other."""
    content = os.urandom(size)
    file.write_bytes(content)
    return content


def place_of(host: Host, path: Path) -> str:
    """Name a path on a host as `outrider cp` takes it."""
    return f"{host.agent_id}:{path}"


async def test_a_full_disk_is_said_and_nothing_is_left(fleet: Fleet) -> None:
    """507 `no_space`; no part of the file stays, and the host goes on with what it has room for."""
    host = await fleet.add_host("host", prefix=on_small_disk(fleet.folder / "host"))
    large = fleet.folder / "large"
    noise(large, 24 * MEGABYTE)
    code, said = await copied(fleet, str(large), place_of(host, host.home / "large"))
    assert code == 1, said
    assert "is full" in said
    body = _form_head(host.home / "large") + large.read_bytes() + _FORM_END
    async with (
        aiohttp.ClientSession(headers=fleet.api.headers) as http,
        http.post(files_of(fleet, host), data=BytesIO(body), headers=_FORM) as response,
    ):
        assert response.status == 507
        assert (await response.json())["code"] == "no_space"
    seen = host.inside.parent
    await until(lambda: not parts_in(seen))
    assert not (seen / "large").exists()
    small = fleet.folder / "small"
    content = noise(small, MEGABYTE)
    assert await copied(fleet, str(small), place_of(host, host.home / "small")) == (0, "")
    assert (seen / "small").read_bytes() == content
    await fleet.answers(host)


async def test_a_killed_agent_leaves_no_part_under_the_name(fleet: Fleet, there: Path) -> None:
    """Who uploads is told; what was there stays; the next start removes the temporary file."""
    host = await fleet.add_host("host")
    (there / "file").write_text("as it was")
    async with copying(fleet, "-", place_of(host, there / "file")) as copy:
        await copy.give(os.urandom(4 * MEGABYTE))
        await until(has_begun(there, 2 * MEGABYTE))
        await host.program.kill()
        code, said = await copy.ended()
    assert code == _AWAY, said
    assert "outrider: " in said
    assert (there / "file").read_text() == "as it was"
    assert len(parts_in(there)) == 1
    await host.start()
    await until(lambda: not parts_in(there))
    assert (there / "file").read_text() == "as it was"


async def test_a_killed_center_ends_an_upload_and_a_second_one_completes(fleet: Fleet, there: Path) -> None:
    """`outrider cp` says so; the host removes what it has of it, and takes the file the next time."""
    host = await fleet.add_host("host")
    local = fleet.folder / "local"
    content = noise(local, 8 * MEGABYTE)
    async with copying(fleet, "-", place_of(host, there / "file")) as copy:
        await copy.give(content[: 4 * MEGABYTE])
        await until(has_begun(there, 2 * MEGABYTE))
        await fleet.center.kill()
        code, said = await copy.ended()
    assert code == _AWAY, said
    assert "outrider: " in said
    await until(lambda: not parts_in(there))
    assert not (there / "file").exists()
    await fleet.center.start()
    await fleet.answers(host)
    assert await copied(fleet, str(local), place_of(host, there / "file")) == (0, "")
    assert (there / "file").read_bytes() == content


async def test_a_download_outlives_a_killed_center(fleet: Fleet, there: Path) -> None:
    """It goes on where it stopped once the center and the host are back, and is whole."""
    host = await fleet.add_host("host")
    content = noise(there / "file", 24 * MEGABYTE)
    async with copying(fleet, place_of(host, there / "file"), "-") as copy:
        got = await copy.take(2 * MEGABYTE)
        await fleet.center.kill()
        await fleet.center.start()
        got += await copy.take(len(content) - len(got))
        code, said = await copy.ended()
    assert got == content
    assert code == 0, said


async def test_a_download_from_a_center_that_stays_away_leaves_nothing(fleet: Fleet, there: Path) -> None:
    """`outrider cp` says so after a while, with no file here; a second run completes."""
    host = await fleet.add_host("host")
    proxy = await fleet.add_proxy()
    content = noise(there / "file", 32 * MEGABYTE)
    here = fleet.folder / "here"
    here.mkdir()
    proxy.delay(0.5)
    async with copying(fleet, place_of(host, there / "file"), str(here / "file"), proxy) as copy:
        await until(lambda: bool(parts_in(here)))
        proxy.refuse(on=True)
        proxy.cut()
        code, said = await copy.ended()
    assert code == _AWAY, said
    assert "outrider: " in said
    assert list(here.iterdir()) == []
    proxy.refuse(on=False)
    proxy.delay(0.0)
    assert await copied(fleet, place_of(host, there / "file"), str(here / "file"), proxy) == (0, "")
    assert (here / "file").read_bytes() == content


@pytest.mark.unhurried
async def test_cut_at_any_byte_before_the_host(fleet: Fleet, there: Path) -> None:
    """Between host and center: a download goes on and is whole; an upload is whole or not there."""
    proxy = await fleet.add_proxy()
    host = await fleet.add_host("host", proxy=proxy)
    content = noise(there / "file", 6 * MEGABYTE)
    for number in range(_CUTS):
        here = fleet.folder / f"here-{number}"
        proxy.cut_after(fleet.rng.randrange(1, len(content)))
        code, said = await copied(fleet, place_of(host, there / "file"), str(here))
        if code:
            # Cut before it had begun.
            assert code in {_NOT_NOW, _AWAY}, said
            assert not here.exists()
            await fleet.answers(host)
            code, said = await copied(fleet, place_of(host, there / "file"), str(here))
        assert code == 0, said
        assert here.read_bytes() == content
        await fleet.answers(host)
        dest = there / f"up-{number}"
        async with copying(fleet, "-", place_of(host, dest)) as copy:
            await copy.give(content[: 4 * MEGABYTE])
            await until(has_begun(there, fleet.rng.randrange(1, 3 * MEGABYTE)))
            proxy.cut()
            code, said = await copy.ended()
        assert code == _AWAY, said
        await fleet.answers(host)
        await until(lambda: not parts_in(there))
        assert not dest.exists()


async def test_cut_at_any_byte_before_the_center(fleet: Fleet, there: Path) -> None:
    """Between caller and center: what is there is whole, and nothing else is."""
    proxy = await fleet.add_proxy()
    host = await fleet.add_host("host")
    local = fleet.folder / "local"
    content = noise(local, 6 * MEGABYTE)
    for number in range(_CUTS):
        dest = there / f"up-{number}"
        proxy.cut_after(fleet.rng.randrange(2000, len(content)))
        code, said = await copied(fleet, str(local), place_of(host, dest), proxy)
        assert code in {0, _AWAY}, said
        await until(lambda: not parts_in(there))
        assert dest.exists() == (code == 0)
        assert await copied(fleet, str(local), place_of(host, dest), proxy) == (0, "")
        assert dest.read_bytes() == content


async def test_a_huge_file_takes_no_memory_and_holds_up_no_command(fleet: Fleet, there: Path) -> None:
    """Gigabytes down, and many megabytes up; center and agent stay as they are, and commands come back."""
    host = await fleet.add_host("host")
    _make_hole(there / "huge", _HUGE)
    _make_hole(there / "small", _SMALL)
    watched = [psutil.Process(pid) for pid in (fleet.center.program.pid, host.program.pid)]
    await fleet.answers(host)
    async with aiohttp.ClientSession(headers=fleet.api.headers) as http:
        await _download(http, f"{files_of(fleet, host)}?path={quote(str(there / 'small'))}")
        before = [process.memory_info().rss for process in watched]
        async with http.get(f"{files_of(fleet, host)}?path={quote(str(there / 'huge'))}") as response:
            got, answered = 0, 0
            async for piece in response.content.iter_any():
                got += len(piece)
                if got > (answered + 1) * _HUGE // 4:
                    answered += 1
                    await fleet.answers(host)
            assert got == _HUGE
        after = [process.memory_info().rss for process in watched]
        assert max(now - then for now, then in zip(after, before, strict=True)) < _GROWTH

        async def zeros() -> AsyncIterator[bytes]:
            yield _form_head(there / "up")
            for _ in range(_LARGE // MEGABYTE):
                yield bytes(MEGABYTE)
            yield _FORM_END

        async with http.post(files_of(fleet, host), data=zeros(), headers=_FORM) as response:
            assert response.status == 200, await response.text()
            assert (await response.json())["size"] == _LARGE
        after = [process.memory_info().rss for process in watched]
        assert max(now - then for now, then in zip(after, before, strict=True)) < _GROWTH


def files_of(fleet: Fleet, host: Host) -> str:
    """Return the address of a host's files."""
    return f"{fleet.url()}/api/agents/{host.agent_id}/files"


def _make_hole(file: Path, size: int) -> None:
    with file.open("wb") as opened:
        opened.truncate(size)


async def _download(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as response:
        assert len(await response.read()) == _SMALL


def _form_head(dest: Path) -> bytes:
    parts = f'--b\r\nContent-Disposition: form-data; name="dest"\r\n\r\n{dest}\r\n'
    return f'{parts}--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'.encode()
