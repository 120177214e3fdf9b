"""Files of a host, from the part of its agent that reads and writes them to who asks the center."""

import asyncio
import os
import socket
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
import psutil
import pytest
from blake3 import blake3
from yarl import URL

from outrider.agent.lane import LaneDoor
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.files import FileStream
from outrider.domain.errors import LinkFault
from outrider.engines.files.unfinished import Unfinished
from outrider.kit.tasks import Tasks
from outrider.protocol import file_stream
from outrider.protocol.open_stream import OpenStream
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestAgent, enrol
from tests.fixtures.serving import serving

BIG = 5 * 1024 * 1024 + 12_345
_LOOKS = 500
_MANY = 20_000


@dataclass(slots=True)
class Site:
    """A center with one host whose files are in `folder`."""

    own: OwnCenter
    agent: TestAgent
    folder: Path
    records: Path

    @property
    def url(self) -> str:
        """The address of the host's files."""
        return f"{self.own.url}{self.agent.path}/files"

    @property
    def session(self) -> aiohttp.ClientSession:
        """What requests are made with."""
        return self.own.api.session

    def headers(self, role: str = "operator", **more: str) -> dict[str, str]:
        """Say who asks."""
        return {**self.own.api.bearer(role), **more}

    async def get(self, path: str | bytes, word: str = "", query: str = "", **headers: str) -> "Got":
        """Ask for a file, or something about one."""
        url = f"{self.url}{word}?path={quote(path, safe='/')}{query}"
        async with self.session.get(URL(url, encoded=True), headers=self.headers(**headers)) as response:
            return Got(response.status, response.headers, await response.read())

    async def upload(self, *parts: tuple[str, str | bytes]) -> "Got":
        """Send a form of these parts, in this order."""
        async with self.session.post(self.url, **form(*parts, headers=self.headers())) as response:
            return Got(response.status, response.headers, await response.read())

    async def deed(
        self, method: str, word: str, path: str | bytes, query: str = "", role: str = "operator"
    ) -> "Got":
        """Make, move or delete something."""
        url = URL(f"{self.url}{word}?path={quote(path, safe='/')}{query}", encoded=True)
        async with self.session.request(method, url, headers=self.headers(role)) as response:
            return Got(response.status, response.headers, await response.read())

    async def audited(self) -> list[dict[str, Any]]:
        """The audit log's entries about the host's files."""
        found = await self.own.api.get(f"/api/audit?subject={self.agent.id}&limit=100&order=asc")
        return [entry for entry in found["entries"] if entry["action"].startswith("file.")]

    def left_behind(self) -> list[str]:
        """Temporary files and records of them."""
        hidden = [str(path) for path in self.folder.rglob(".outrider-*")]
        return hidden + [str(path) for path in self.records.glob("*")]


@dataclass(slots=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


def names_in(folder: Path) -> list[bytes]:
    """What is in a folder, in order."""
    return sorted(os.fsencode(each.name) for each in folder.iterdir())


def make_many(folder: Path) -> None:
    """Make more files, in 20 folders, than are deleted at once."""
    for number in range(20):
        (folder / str(number)).mkdir(parents=True)
    for number in range(_MANY):
        os.mknod(folder / f"{number % 20}/{number}")


async def until(holds: Callable[[], bool]) -> None:
    """Return once the disk, or another task, is as it should be within seconds."""
    for _ in range(_LOOKS):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about in time")


def form(*parts: tuple[str, str | bytes], headers: dict[str, str]) -> dict[str, Any]:
    """Make a form by hand, in exactly this order."""
    body = b""
    for name, value in parts:
        disposition = f'form-data; name="{name}"' + ('; filename="own name"' if name == "file" else "")
        content = value.encode() if isinstance(value, str) else value
        body += f"--xx--yy\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=xx--yy"}
    return {"data": BytesIO(body + b"--xx--yy--\r\n"), "headers": {**headers, **kind}}


@asynccontextmanager
async def a_site(tmp_path: Path, *, rules: str = "") -> AsyncIterator[Site]:
    """Run a center with one host."""
    policy, folder, records = tmp_path / "policy.toml", tmp_path / "host", tmp_path / "records"
    folder.mkdir()
    policy.write_text(rules.format(folder=folder))
    rules_file = PolicyFile(policy, owner=os.getuid())
    async with own_center(tmp_path / "center") as own:
        agent = await enrol(own.api)
        lanes = LaneDoor(own.url, agent.headers, None)
        kinds = {"files": FileStream(rules_file, Unfinished(records), lanes)}
        async with agent.linked(own.api) as link, serving(own.api, agent, link, kinds, rules_file):
            yield Site(own, agent, folder, records)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A center with one host that has no policy."""
    async with a_site(tmp_path) as site:
        yield site


async def test_a_file_comes_as_it_is(site: Site) -> None:
    """Its bytes, its length, its name and a validator; read and downloaded are audited with its digest."""
    content = os.urandom(BIG)
    (site.folder / "ä b.bin").write_bytes(content)
    got = await site.get(str(site.folder / "ä b.bin"))
    assert (got.status, got.body == content) == (200, True)
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Content-Length"] == str(BIG)
    assert "filename*=UTF-8''%C3%A4%20b.bin" in got.headers["Content-Disposition"]
    # The last entry is written when all has been sent: whoever reads may be quicker.
    entries = await site.audited()
    while len(entries) < 2:
        entries = await site.audited()
    begun, done = entries
    assert (begun["action"], begun["data"]["length"]) == ("file.download", BIG)
    assert (done["action"], done["data"]["blake3"]) == ("file.downloaded", blake3(content).hexdigest())
    assert done["actor"]["kind"] == "user"


async def test_a_part_comes_as_a_part(site: Site) -> None:
    """Range and If-Range; what lies beyond the end is 416; what has not changed is 304."""
    (site.folder / "file").write_bytes(b"0123456789")
    path = str(site.folder / "file")
    whole = await site.get(path)
    tag = whole.headers["ETag"]
    for wanted, body in (
        ("bytes=2-4", b"234"),
        ("bytes=7-", b"789"),
        ("bytes=-3", b"789"),
        ("bytes=8-99", b"89"),
    ):
        got = await site.get(path, Range=wanted)
        assert (got.status, got.body) == (206, body)
        assert got.headers["Content-Range"].endswith("/10")
    for headers in (
        {"Range": "bytes=1-2,4-5"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=2-", "If-Range": '"x"'},
    ):
        assert (await site.get(path, **headers)).status == 200
    assert (await site.get(path, **{"Range": "bytes=2-", "If-Range": tag})).status == 206
    assert (await site.get(path, **{"If-None-Match": tag})).status == 304
    beyond = await site.get(path, Range="bytes=10-")
    assert (beyond.status, beyond.json["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["Content-Range"] == "bytes */10"


async def test_folders_are_listed_page_by_page(site: Site) -> None:
    """In the order of names; a name that is no UTF-8 can be asked for by what the listing says."""
    for number in range(25):
        (site.folder / f"{number:02d}").write_text("x" * number)
    strange = os.fsencode(site.folder) + b"/\xff%&\xfe"
    (site.folder / os.fsdecode(b"\xff%&\xfe")).write_bytes(b"strange")
    (site.folder / "link").symlink_to("01")
    seen, after = [], ""
    while True:
        page = (await site.get(str(site.folder), "/list", f"&limit=10&after={after}")).json
        seen += page["entries"]
        if not page["next"]:
            break
        after = page["next"]
    assert [each["name"] for each in seen][:25] == [f"{number:02d}" for number in range(25)]
    assert (seen[25]["kind"], seen[25]["target"]) == ("link", "01")
    assert seen[26]["encoded"] == "%FF%25%26%FE"
    got = await site.get(strange)
    assert (got.status, got.body) == (200, b"strange")
    facts = (await site.get(strange, "/stat", "&digest=true")).json
    assert facts["blake3"] == blake3(b"strange").hexdigest()


async def test_a_folder_comes_as_an_archive(site: Site) -> None:
    """Files, links and folders; a folder without `archive` is told how to ask for it."""
    (site.folder / "d/e").mkdir(parents=True)
    (site.folder / "d/e/f").write_bytes(b"f" * 700_000)
    (site.folder / "d/l").symlink_to("e/f")
    got = await site.get(str(site.folder / "d"), query="&archive=tar.gz")
    assert got.status == 200
    with tarfile.open(fileobj=BytesIO(got.body)) as archive:
        assert sorted(archive.getnames()) == ["d", "d/e", "d/e/f", "d/l"]
        assert archive.getmember("d/l").issym()
        content = archive.extractfile("d/e/f")
        assert content is not None
        assert content.read() == b"f" * 700_000
    plain = await site.get(str(site.folder / "d"))
    assert (plain.status, plain.json["code"]) == (400, "not_a_file")
    assert "archive=tar.gz" in plain.json["detail"]
    file = await site.get(str(site.folder / "d/e/f"), query="&archive=tar.gz")
    assert (file.status, file.json["code"]) == (400, "not_a_folder")


@pytest.mark.parametrize("first", ["dest", "file"])
async def test_an_upload_is_whole_in_its_place(site: Site, first: str) -> None:
    """Whichever part comes first; the answer has its path, size and digest, and so has the audit log."""
    content = os.urandom(BIG)
    parts: list[tuple[str, str | bytes]] = [("dest", str(site.folder / "new")), ("mode", "0640")]
    parts.append(("file", content))
    got = await site.upload(*(parts if first == "dest" else parts[::-1]))
    digest = blake3(content).hexdigest()
    assert (got.status, got.json) == (
        200,
        {"path": str(site.folder / "new"), "size": BIG, "blake3": digest},
    )
    assert (site.folder / "new").read_bytes() == content
    assert (site.folder / "new").stat().st_mode & 0o7777 == 0o640
    await until(lambda: not site.left_behind())
    begun, done = await site.audited()
    assert (begun["action"], done["action"]) == ("file.upload", "file.uploaded")
    assert done["data"] == {"path": str(site.folder / "new"), "size": BIG, "blake3": digest}


async def test_an_upload_into_a_folder_keeps_its_own_name(site: Site) -> None:
    """And a file that is replaced keeps its permissions."""
    got = await site.upload(("dest", f"{site.folder}/"), ("file", b"one"))
    assert got.json["path"] == str(site.folder / "own name")
    (site.folder / "own name").chmod(0o600)
    await site.upload(("dest", str(site.folder)), ("file", b"two"))
    assert (site.folder / "own name").read_bytes() == b"two"
    assert (site.folder / "own name").stat().st_mode & 0o777 == 0o600


async def test_nothing_is_overwritten_that_was_not_to_be(site: Site) -> None:
    """With overwrite=false what is there stays, and the answer is 409."""
    (site.folder / "file").write_bytes(b"old")
    got = await site.upload(("dest", str(site.folder / "file")), ("overwrite", "false"), ("file", b"new"))
    assert (got.status, got.json["code"]) == (409, "file_exists")
    assert (site.folder / "file").read_bytes() == b"old"
    await until(lambda: not site.left_behind())


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/x")], 400, "invalid"),
        ([("dest", "relative"), ("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/../x"), ("file", b"x")], 403, "path_refused"),
        ([("dest", "{folder}/no/x"), ("file", b"x")], 404, "not_found"),
        ([("dest", "/proc/sys/x"), ("file", b"x")], 403, "path_refused"),
        ([("dest", "/dev/null"), ("file", b"x")], 403, "path_refused"),
        ([("dest", "{folder}/x"), ("dest", "{folder}/y"), ("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/x"), ("file", b"x"), ("file", b"y")], 400, "invalid"),
        ([("dest", "{folder}/x"), ("mode", "rwx"), ("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/x"), ("mode", "4755"), ("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/x"), ("owner", "nobody-of-that-name"), ("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/x"), ("file", b"x"), ("modes", "0644")], 400, "invalid"),
        ([("file", b"x" * 100_000), ("dest", "{folder}/no/x")], 404, "not_found"),
        ([("dest", "{folder}/x"), ("extract", "zip"), ("file", b"x")], 400, "invalid"),
        ([("dest", "{folder}/x"), ("extract", "tar.gz"), ("file", b"no archive")], 400, "invalid"),
    ],
)
async def test_an_upload_that_can_not_be_leaves_nothing(
    site: Site, parts: list[tuple[str, str | bytes]], status: int, code: str
) -> None:
    """A form that does not fit, a place that takes no file: the answer says why."""
    filled = [
        (name, value.format(folder=site.folder) if isinstance(value, str) else value) for name, value in parts
    ]
    got = await site.upload(*filled)
    assert (got.status, got.json["code"]) == (status, code), got.json
    await until(lambda: not site.left_behind())
    assert [path for path in site.folder.rglob("*") if path.is_file()] == []


async def test_an_archive_is_unpacked_and_leads_nowhere_else(site: Site) -> None:
    """Files and links arrive; what tries to lead out is refused, also through a link of its own."""
    good = BytesIO()
    with tarfile.open(fileobj=good, mode="w:gz") as archive:
        for name in ("a", "sub/b"):
            info = tarfile.TarInfo(name)
            info.size, info.mode = 3, 0o4755
            archive.addfile(info, BytesIO(b"abc"))
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
        fifo = tarfile.TarInfo("fifo")
        fifo.type = tarfile.FIFOTYPE
        archive.addfile(fifo)
    dest = site.folder / "new"
    got = await site.upload(("dest", str(dest)), ("extract", "tar.gz"), ("file", good.getvalue()))
    assert (got.status, got.json["files"], got.json["left_out_total"]) == (200, 3, 1), got.json
    assert (dest / "sub/b").read_bytes() == b"abc"
    assert (dest / "a").stat().st_mode & 0o7777 == 0o755
    for name in ("../evil", "/evil", "out/evil", "sub/../../evil"):
        bad = BytesIO()
        with tarfile.open(fileobj=bad, mode="w:gz") as archive:
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, BytesIO(b"abc"))
        got = await site.upload(("dest", str(dest)), ("extract", "tar.gz"), ("file", bad.getvalue()))
        assert (got.status, got.json["code"]) == (403, "path_refused"), name
    assert not await asyncio.to_thread(Path("/etc/evil").exists)
    await until(lambda: not site.left_behind())


async def test_a_policy_holds(tmp_path: Path) -> None:
    """Outside of its roots nothing is read; what is read-only is not written; the refusal names the file."""
    rules = 'file_roots = ["{folder}"]\nfile_read_only = ["{folder}/ro"]\n'
    async with a_site(tmp_path, rules=rules) as site:
        (site.folder / "ro").mkdir()
        (site.folder / "ro/file").write_text("x")
        (site.folder / "out").symlink_to("/etc")
        assert (await site.get(str(site.folder / "ro/file"))).status == 200
        for path in ("/etc/passwd", str(site.folder / "out/passwd"), f"{site.folder}/../policy.toml"):
            for word in ("", "/stat", "/list"):
                got = await site.get(path, word)
                assert (got.status, got.json["code"]) == (403, "path_refused")
        got = await site.upload(("dest", str(site.folder / "ro/new")), ("file", b"x"))
        assert (got.status, got.json["code"]) == (403, "path_refused")
        assert "policy.toml" in got.json["detail"]
    (tmp_path / "two").mkdir()
    async with a_site(tmp_path / "two", rules='forbid = ["files"]') as site:
        assert (await site.get("/etc/passwd")).status == 403


async def test_who_may_not_act_may_not_look(site: Site) -> None:
    """Viewers see no files; without a session nobody does."""
    async with site.session.get(f"{site.url}?path=/etc/passwd", headers=site.headers("viewer")) as response:
        assert response.status == 403
    async with site.session.get(f"{site.url}?path=/etc/passwd") as response:
        assert response.status == 401


async def test_a_host_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    """409 for every route; an agent that nobody knows is 404."""
    async with own_center(tmp_path / "center") as own:
        agent = await enrol(own.api)
        site = Site(own, agent, tmp_path, tmp_path)
        for got in (
            await site.get("/etc/hosts"),
            await site.get("/etc", "/list"),
            await site.get("/etc", "/stat"),
            await site.upload(("dest", "/tmp/x"), ("file", b"x")),  # noqa: S108 - nothing is written
        ):
            assert (got.status, got.json["code"]) == (409, "host_away")


async def test_a_file_that_shrinks_cuts_the_answer(site: Site) -> None:
    """Less than Content-Length arrives, and the connection is cut: nobody takes it for the file."""
    path = site.folder / "file"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    url = f"{site.url}?path={quote(str(path))}"
    async with site.session.get(url, headers=site.headers()) as response:
        assert response.headers["Content-Length"] == str(64 * 1024 * 1024)
        await response.content.readexactly(100_000)
        os.truncate(path, 1024 * 1024)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    entries = await site.audited()
    while entries[-1]["action"] != "file.downloaded":
        entries = await site.audited()
    assert entries[-1]["data"]["error"] == "file_changed"


async def test_a_reader_that_goes_ends_the_work_on_the_host(site: Site) -> None:
    """After a part was read the connection is closed: the host's stream ends, and nothing is left open."""
    path = site.folder / "file"
    with path.open("wb") as file:
        file.truncate(256 * 1024 * 1024)
    async with site.session.get(f"{site.url}?path={quote(str(path))}", headers=site.headers()) as response:
        await response.content.readexactly(1000)
        response.close()
    await until(lambda: not len(site.own.center.host_streams))
    await until(lambda: str(path) not in _open_files())


@pytest.mark.parametrize("sent", [0, 60, 150, 300, 70_000, 2_000_000])
@pytest.mark.parametrize("first", ["dest", "file"])
async def test_a_sender_that_goes_leaves_nothing(site: Site, first: str, sent: int) -> None:
    """Cut at any byte of the form: no file, no temporary one, no record, no stream."""
    parts: list[tuple[str, str | bytes]] = [
        ("dest", str(site.folder / "new")),
        ("file", os.urandom(3_000_000)),
    ]
    made = form(*(parts if first == "dest" else parts[::-1]), headers=site.headers())
    address = urlsplit(site.own.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    head = [f"POST {site.agent.path}/files HTTP/1.1", f"Host: {address.netloc}"]
    head += [f"{name}: {value}" for name, value in made["headers"].items()]
    head += [f"Content-Length: {len(made['data'].getvalue())}", "", ""]
    writer.write("\r\n".join(head).encode() + made["data"].getvalue()[:sent])
    await writer.drain()
    if sent > 200 and first == "dest":
        await until(lambda: bool(site.left_behind()))
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
    await until(lambda: not (site.left_behind() or len(site.own.center.host_streams)))
    assert list(site.folder.iterdir()) == []
    assert not [name for name in _open_files() if "uploads" in name]


async def test_a_host_that_is_cut_off_leaves_nothing(site: Site) -> None:
    """Its stream ends in the middle of an upload: the caller is told, and the host keeps no part of it."""
    going_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        made = form(("dest", str(site.folder / "new")), ("file", b"x" * 400_000), headers={})[
            "data"
        ].getvalue()
        yield made[:300_000]
        await going_on.wait()
        yield made[300_000:]

    kind = {"Content-Type": "multipart/form-data; boundary=xx--yy"}
    asking = asyncio.get_running_loop().create_task(
        site.session.post(site.url, data=body(), headers=site.headers(**kind))
    )
    await until(lambda: bool(site.left_behind()))
    site.own.center.host_streams.end_all(site.agent.id, "cut by the test")
    going_on.set()
    async with await asking as response:
        assert response.status == 503
        assert (await response.json())["code"] == "stream_lost"
    await until(lambda: not (site.left_behind()))
    assert list(site.folder.iterdir()) == []


async def test_a_reader_that_stops_reading_holds_a_bounded_part(site: Site) -> None:
    """Nobody reads for a while: center and host hold no more than the buffers on the way."""
    path = site.folder / "file"
    with path.open("wb") as file:
        file.truncate(1024 * 1024 * 1024)
    before = psutil.Process().memory_info().rss
    async with site.session.get(f"{site.url}?path={quote(str(path))}", headers=site.headers()) as response:
        await response.content.readexactly(1000)
        used = -1.0
        async with asyncio.timeout(10):
            while (now := psutil.Process().cpu_times().user) != used:
                used = now
                await asyncio.sleep(0.3)
        assert len(site.own.center.host_streams) == 1
        assert psutil.Process().memory_info().rss - before < 48 * 1024 * 1024
        response.close()


def _open_files() -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except OSError:
            continue
    return found


async def test_names_are_made_moved_and_deleted(site: Site) -> None:
    """Also those that are no UTF-8; each is audited when it is asked for, and when it has ended."""
    folder = os.fsencode(site.folder)
    made = await site.deed("POST", "/folders", folder + b"/new \xff")
    assert (made.status, made.json["encoded"]) == (201, quote(folder + b"/new \xff", safe="/"))
    (site.folder / os.fsdecode(b"new \xff") / "file").write_text("x")
    to = quote(folder + b"/moved \xfe", safe="")
    moved = await site.deed("POST", "/move", folder + b"/new \xff", f"&to={to}")
    assert (moved.status, names_in(site.folder)) == (200, [b"moved \xfe"])
    full = await site.deed("DELETE", "", folder + b"/moved \xfe")
    assert (full.status, full.json["code"]) == (409, "folder_not_empty")
    gone = await site.deed("DELETE", "", folder + b"/moved \xfe", "&recursive=true")
    assert (gone.status, gone.json["deleted"], names_in(site.folder)) == (200, 2, [])
    entries = await site.audited()
    assert [(each["action"], each["data"].get("error")) for each in entries] == [
        ("file.make_folder", None),
        ("file.folder_made", None),
        ("file.move", None),
        ("file.moved", None),
        ("file.delete", None),
        ("file.deleted", "folder_not_empty"),
        ("file.delete", None),
        ("file.deleted", None),
    ]
    assert entries[-1]["data"]["deleted"] == 2


async def test_what_can_not_be_done_is_told(site: Site) -> None:
    """With the codes that reading and writing have; nothing is audited that never began."""
    (site.folder / "a").write_text("a")
    (site.folder / "b").write_text("b")
    for method, word, path, query, status, code in (
        ("POST", "/folders", f"{site.folder}/a", "", 409, "file_exists"),
        ("POST", "/folders", f"{site.folder}/none/x", "", 404, "not_found"),
        ("POST", "/move", f"{site.folder}/a", f"&to={site.folder}/b", 409, "file_exists"),
        ("POST", "/move", f"{site.folder}/a", "&to=b", 400, "invalid"),
        ("POST", "/move", f"{site.folder}/a", "", 400, "invalid"),
        ("DELETE", "", f"{site.folder}/none", "", 404, "not_found"),
        ("DELETE", "", "/", "&recursive=true", 403, "path_refused"),
        ("DELETE", "", "/proc/self", "&recursive=true", 403, "path_refused"),
    ):
        got = await site.deed(method, word, path, query)
        assert (got.status, got.json["code"]) == (status, code), got.body
    assert {each["action"] for each in await site.audited()} <= {
        "file.make_folder",
        "file.folder_made",
        "file.move",
        "file.moved",
    }
    for method, word in (("POST", "/folders"), ("POST", "/move"), ("DELETE", "")):
        got = await site.deed(method, word, f"{site.folder}/a", f"&to={site.folder}/c", role="viewer")
        assert got.status == 403
    replaced = await site.deed("POST", "/move", f"{site.folder}/a", f"&to={site.folder}/b&replace=true")
    assert (replaced.json["path"], (site.folder / "b").read_text()) == (f"{site.folder}/b", "a")


async def test_a_host_keeps_names_to_its_roots(tmp_path: Path) -> None:
    """`file_roots` and `file_read_only` bind what makes, moves and deletes."""
    rules = 'file_roots = ["{folder}"]\nfile_read_only = ["{folder}/kept"]\n'
    async with a_site(tmp_path, rules=rules) as site:
        (site.folder / "kept").mkdir()
        (site.folder / "kept/file").write_text("x")
        (site.folder / "way").symlink_to(tmp_path)
        for path in (f"{site.folder}/kept", f"{site.folder}/kept/file", f"{site.folder}/way/policy.toml"):
            got = await site.deed("DELETE", "", path, "&recursive=true")
            assert (got.status, got.json["code"]) == (403, "path_refused")
        assert (await site.deed("POST", "/folders", f"{tmp_path}/new")).status == 403
        out = await site.deed("POST", "/move", f"{site.folder}/way", f"&to={tmp_path}/out")
        assert out.status == 403
        assert (await site.deed("DELETE", "", f"{site.folder}/way", "&recursive=true")).status == 200
        assert (tmp_path / "policy.toml").is_file()


async def test_a_delete_ends_with_who_asked_for_it(site: Site) -> None:
    """Of a large folder what is left then stays, and the audit log says that it was cut."""
    await asyncio.to_thread(make_many, site.folder / "big")
    async with Tasks("asking") as tasks:
        asking = tasks.start("delete", site.deed("DELETE", "", f"{site.folder}/big", "&recursive=true"))
        await until(lambda: len(names_in(site.folder / "big")) < 20)
        asking.cancel()
    entries = await site.audited()
    while entries[-1]["action"] != "file.deleted":
        entries = await site.audited()
    assert entries[-1]["data"]["error"] == "stream_lost"
    assert names_in(site.folder / "big")


async def test_an_older_agent_is_told_of(tmp_path: Path) -> None:
    """It refuses what it does not know; nothing is audited, and the answer says what to do."""

    class Older:
        ability = "files"
        window = file_stream.WINDOW

        async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
            known = file_stream.LookAt | file_stream.Fetch
            try:
                _ = msgspec.msgpack.decode(request, type=known)
            except msgspec.DecodeError as error:
                raise LinkFault(f"A request for files does not fit: {error}.") from None
            await stream.end()

    policy = PolicyFile(tmp_path / "policy.toml", owner=os.getuid())
    async with own_center(tmp_path / "center") as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link, serving(own.api, agent, link, {"files": Older()}, policy):
            site = Site(own, agent, tmp_path, tmp_path)
            got = await site.deed("DELETE", "", "/srv/x")
            assert (got.status, got.json["code"]) == (502, "host_fault")
            assert "older than the center" in got.json["detail"]
            assert await site.audited() == []
