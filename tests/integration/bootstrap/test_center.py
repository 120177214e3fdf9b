"""A host asks its center with nothing but the standard library: offers, downloads, the center's authority."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from aiohttp import web

from outrider.agent import side_door as agents
from outrider.agent.identity.__main__ import main as make_identity
from outrider.bootstrap.center import (
    TRIES,
    CenterAway,
    CenterRefused,
    CenterUntrusted,
    Door,
    NotEnrolled,
    Offer,
    WrongBytes,
    download,
    forget_downloads,
    offer,
    pin_of,
    pinned_authority,
)
from outrider.bootstrap.side_door import CENTER_SOCKET, SideDoor
from outrider.bootstrap.target import Target
from outrider.domain import enrolment
from outrider.testing.bundle_shelf import BundleShelf

TARGET = Target("3.11", "linux-x86_64", "2.36")
MANIFEST = {"version": "0.2.0", "build": "0123456789ab", "python": "3.11", "platform": "linux-x86_64"}
SIZE = 1_000_000


class Site:
    """A center that has a shelf of bundles, and nothing else."""

    def __init__(self) -> None:
        """Make what it is of; it listens inside `listening`."""
        self.shelf = BundleShelf()
        self.authority = ""
        self.url = ""
        self._app = web.Application()
        self.shelf.join(self._app)
        self._app.router.add_get("/api/ca", self._ca)

    async def _ca(self, _: web.Request) -> web.Response:
        return web.Response(text=self.authority)

    async def listen(self, context: ssl.SSLContext | None = None) -> web.AppRunner:
        """Listen on a free port."""
        runner = web.AppRunner(self._app, shutdown_timeout=0.2, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        return runner


def _bytes(folder: Path) -> Path:
    file = folder / "bundle.tar.gz"
    file.write_bytes(bytes(range(250)) * (SIZE // 250))
    return file


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One with a bundle that is none, but has bytes."""
    site = Site()
    site.shelf.put(_bytes(tmp_path), MANIFEST)
    runner = await site.listen()
    yield site
    await runner.cleanup()


@pytest.fixture
def door(site: Site) -> Door:
    """The door of an agent."""
    return Door(site.url, None, {"X-Agent-Id": "agent_1", "X-Agent-Key": "oak_1"})


async def offered(door: Door, version: str = "") -> Offer:
    """Ask for an offer."""
    return await asyncio.to_thread(offer, door, TARGET, version)


async def downloaded(door: Door, what: Offer, folder: Path) -> tuple[Path, list[int], list[float]]:
    """Download, and return the file, how far it was told to be, and the pauses between tries."""
    told: list[int] = []
    pauses: list[float] = []
    file = await asyncio.to_thread(
        download, door, what, folder, lambda got, _: told.append(got), pause=pauses.append
    )
    return file, told, pauses


async def test_an_offer_is_asked_for_with_what_the_host_is(site: Site, door: Door) -> None:
    """Python, platform, C library and a version that is wanted; who asks is in the headers."""
    what = await offered(door, "0.2.0")
    assert (what.version, what.build, what.size) == ("0.2.0", "0123456789ab", SIZE)
    assert site.shelf.asked == [
        {"python": "3.11", "platform": "linux-x86_64", "glibc": "2.36", "version": "0.2.0"}
    ]
    assert site.shelf.headers[0]["X-Agent-Key"] == "oak_1"


async def test_a_center_that_refuses_is_quoted(site: Site, door: Door) -> None:
    """Its code and detail come through; only a fault of its own is worth another try."""
    for status, code, again in (
        (404, "no_bundle", False),
        (401, "unauthenticated", False),
        (503, "full", True),
    ):
        site.shelf.refuse_with = (status, code, f"because {status}")
        with pytest.raises(CenterRefused, match=f"because {status}") as refused:
            await offered(door)
        assert (refused.value.code, refused.value.again) == (code, again)


async def test_a_download_is_whole(site: Site, door: Door, tmp_path: Path) -> None:
    """Its bytes are those that were offered, and how far it is was told."""
    file, told, pauses = await downloaded(door, await offered(door), tmp_path / "d")
    assert file.read_bytes() == bytes(range(250)) * (SIZE // 250)
    assert told == sorted(told)
    assert told[-1] == SIZE
    assert pauses == []
    assert site.shelf.ranges == [""]


async def test_a_download_goes_on_where_it_was_cut(site: Site, door: Door, tmp_path: Path) -> None:
    """Again and again, as long as something comes; each try waits a little."""
    site.shelf.cut_after = [300_000] * 3
    file, _, pauses = await downloaded(door, await offered(door), tmp_path / "d")
    assert file.stat().st_size == SIZE
    firsts = [int(wanted.removeprefix("bytes=").removesuffix("-") or 0) for wanted in site.shelf.ranges]
    assert firsts == sorted(firsts)
    assert len(pauses) == 3
    assert all(0 < pause <= 1 for pause in pauses)


async def test_a_download_that_never_gets_further_is_given_up(site: Site, door: Door, tmp_path: Path) -> None:
    """What had come is kept, and gone on with by the next download, in another process as well."""
    what = await offered(door)
    site.shelf.cut_after = [400_000] + [0] * TRIES
    with pytest.raises(CenterAway, match=r"of 1000000 bytes|broke"):
        await downloaded(door, what, tmp_path / "d")
    (kept,) = (tmp_path / "d").iterdir()
    assert 0 < kept.stat().st_size <= 400_000
    site.shelf.cut_after = []
    file, told, _ = await downloaded(door, what, tmp_path / "d")
    assert told[0] > kept.stat().st_size if kept.exists() else told[0] > 0
    assert file.stat().st_size == SIZE


async def test_what_is_not_what_was_offered_is_thrown_away(site: Site, door: Door, tmp_path: Path) -> None:
    """A changed byte is found, and nothing of it stays."""
    site.shelf.spoiled = True
    with pytest.raises(WrongBytes, match="its SHA-256 is not"):
        await downloaded(door, await offered(door), tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []


async def test_a_spoiled_rest_of_an_earlier_try_is_fetched_again(
    site: Site, door: Door, tmp_path: Path
) -> None:
    """A power cut may leave zeros where bytes had come."""
    what = await offered(door)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{what.digest}.part").write_bytes(bytes(500_000))
    file, _, _ = await downloaded(door, what, tmp_path / "d")
    assert file.read_bytes() == bytes(range(250)) * (SIZE // 250)
    assert site.shelf.ranges == ["bytes=500000-", ""]


async def test_a_disk_that_takes_no_more_is_given_back(door: Door, tmp_path: Path) -> None:
    """What came is removed: it may be what fills the disk."""
    what = await offered(door)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{what.digest}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        await downloaded(door, what, tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []


async def test_a_bundle_that_is_gone_says_so(site: Site, door: Door, tmp_path: Path) -> None:
    """It was replaced between the offer and the download."""
    what = await offered(door)
    other = tmp_path / "other.tar.gz"
    other.write_bytes(b"other")
    site.shelf.put(other, MANIFEST)
    with pytest.raises(CenterRefused) as refused:
        await downloaded(door, what, tmp_path / "d")
    assert refused.value.code == "no_bundle"


def test_downloads_are_forgotten(tmp_path: Path) -> None:
    """What is named after a digest goes, whole or not; nothing else does."""
    for name in ("a" * 64, "b" * 64 + ".part", "mine"):
        (tmp_path / name).write_text("x")
    forget_downloads(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["mine"]
    forget_downloads(tmp_path / "never")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1", "can't be reached: Connection refused"),
        ("ftp://127.0.0.1", "must read https://name"),
        ("http://[::", "malformed"),
        ("https://", "must read https://name"),
        ("http://name.invalid", "can't be reached"),
    ],
)
def test_a_center_that_is_not_there_is_named(url: str, reason: str) -> None:
    """Each cause has its words."""
    with pytest.raises((CenterAway, CenterUntrusted), match=reason):
        offer(Door(url, None, {}), TARGET)


async def test_what_is_no_center_is_said_to_be_none() -> None:
    """Something else answers there."""
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    app.router.add_get("/api/agents/bundle/offer", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(CenterAway, match="answered with no offer"):
            await offered(Door(f"http://127.0.0.1:{runner.addresses[0][1]}", None, {}))
    finally:
        await runner.cleanup()


def test_an_agents_door_is_its_record(tmp_path: Path) -> None:
    """Its address, id and key, and the authority that it keeps; a host without them can't ask."""
    with pytest.raises(NotEnrolled, match="can't be read"):
        Door.of_agent(tmp_path)
    record = {"center_url": "https://c:1", "agent_id": "agent_1", "agent_key": "oak_1"}
    (tmp_path / "enrolment.json").write_text(json.dumps(record))
    assert Door.of_agent(tmp_path) == Door(
        "https://c:1", None, {"X-Agent-Id": "agent_1", "X-Agent-Key": "oak_1"}
    )
    (tmp_path / "center-ca.pem").write_bytes(b"pem")
    assert Door.of_agent(tmp_path).ca_pem == b"pem"
    assert "oak_1" not in repr(Door.of_agent(tmp_path))
    for without in ({"agent_key": ""}, {"agent_id": None}, {"removed": "deleted"}):
        (tmp_path / "enrolment.json").write_text(json.dumps({**record, **without}))
        with pytest.raises(NotEnrolled, match="belongs to no center"):
            Door.of_agent(tmp_path)
    assert Door.with_key("u", None, "oek_1").headers == {"X-Enrolment-Key": "oek_1"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority."""
    return trustme.CA()


def _der(authority: trustme.CA) -> bytes:
    return ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())


@pytest_asyncio.fixture
async def tls(authority: trustme.CA) -> AsyncIterator[Site]:
    """A center with a certificate of this authority, which it shows among others."""
    site = Site()
    site.authority = trustme.CA().cert_pem.bytes().decode() + authority.cert_pem.bytes().decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    runner = await site.listen(context)
    yield site
    await runner.cleanup()


async def test_the_authority_is_recognised_by_its_pin(tls: Site, authority: trustme.CA) -> None:
    """It alone is returned of what is shown, and with it the center is trusted."""
    pin = pin_of(_der(authority))
    assert pin == enrolment.pin_of(_der(authority))
    pem = await asyncio.to_thread(pinned_authority, tls.url, [pin])
    assert ssl.PEM_cert_to_DER_cert(pem.decode()) == _der(authority)
    tls.shelf.refuse_with = (404, "no_bundle", "none")
    with pytest.raises(CenterRefused):
        await offered(Door(tls.url, pem, {}))


async def test_another_authority_is_not_trusted(tls: Site) -> None:
    """Neither by a pin nor by what this host keeps; nothing secret is said to it."""
    with pytest.raises(CenterUntrusted, match="another center, or somebody sits in between"):
        await asyncio.to_thread(pinned_authority, tls.url, ["x" * 43])
    with pytest.raises(ValueError, match="without pins"):
        pinned_authority(tls.url, [])
    other = trustme.CA().cert_pem.bytes()
    with pytest.raises(CenterUntrusted, match="does not trust"):
        await offered(Door(tls.url, other, {"X-Agent-Key": "oak_1"}))
    with pytest.raises(CenterUntrusted, match="does not trust"):
        await offered(Door(tls.url, None, {"X-Agent-Key": "oak_1"}))
    with pytest.raises(CenterUntrusted, match="can't be read"):
        await offered(Door(tls.url, b"no certificate", {}))
    assert tls.shelf.headers == []


async def test_by_the_agents_side_door_the_center_is_proved_as_elsewhere(
    tls: Site, authority: trustme.CA, tmp_path: Path
) -> None:
    """What goes through is whole, also after a cut; nobody else is taken for the center there."""
    make_identity([str(tmp_path)])
    tls.shelf.put(_bytes(tmp_path), MANIFEST)

    async def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", int(tls.url.rpartition(":")[2])))
        connection.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
        return connection

    def door(trusted: trustme.CA, place: str) -> Door:
        side = SideDoor(Path(place), tmp_path)
        return Door(tls.url, trusted.cert_pem.bytes(), {"X-Agent-Key": "oak_1"}, side)

    async with agents.SideDoor(tmp_path, connect).open() as variables:
        with pytest.raises(CenterUntrusted, match="does not trust"):
            await offered(door(trustme.CA(), variables[CENTER_SOCKET]))
        assert tls.shelf.headers == []
        by = door(authority, variables[CENTER_SOCKET])
        tls.shelf.cut_after = [300_000]
        file, _, pauses = await downloaded(by, await offered(by), tmp_path / "d")
        assert file.stat().st_size == SIZE
        assert len(pauses) == 1
    with pytest.raises(CenterAway, match="this host's agent leads there no more"):
        await offered(by)
    (tmp_path / "identity.pem").unlink()
    with pytest.raises(CenterAway, match="this host's certificate can't be read"):
        await offered(by)


async def test_pauses_can_be_ended(site: Site, door: Door, tmp_path: Path) -> None:
    """What waits between tries is the caller's: an install that is told to stop does not sit it out."""
    site.shelf.cut_after = [0]
    stopped = threading.Event()

    def pause(_: float) -> None:
        stopped.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(download, door, await offered(door), tmp_path / "d", pause=pause)
    assert stopped.is_set()
