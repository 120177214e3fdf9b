"""How the console's files are answered."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from outrider.center.console.pages import POLICY, Pages
from tests.fixtures.api import Answer

SCRIPT = b"console.log(1)\n" * 40


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    """Give pages over a small build."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "stamp").write_text("made from this")
    (tmp_path / "index.html").write_bytes(b"<!doctype html>")
    script = tmp_path / "assets" / "index-abc.js"
    script.write_bytes(SCRIPT)
    script.with_name("index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    script.with_name("index-abc.js.br").write_bytes(b"as brotli has it")
    return Pages(tmp_path)


async def ask(pages: Pages, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for an address; `_` in a header's name is a dash."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Any = {"type": "http", "path": path, "method": method, "headers": given}
    await pages(scope, cast("Any", None), cast("Any", send))
    start, *rest = said
    told: Mapping[str, str] = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], told, b"".join(each["body"] for each in rest))


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br; q=0", "gzip"),
        ("BR", "br"),
        ("zstd", ""),
        ("", ""),
    ],
)
async def test_what_the_build_has_packed_is_sent_as_it_is(pages: Pages, accepted: str, encoding: str) -> None:
    """The best encoding that the browser takes, with an ETag of its own."""
    answer = await ask(pages, "/console/assets/index-abc.js", accept_encoding=accepted)
    assert answer.status == 200
    assert answer.headers.get("content-encoding", "") == encoding
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "accept-encoding"
    if encoding == "gzip":
        assert gzip.decompress(answer.body) == SCRIPT
    known = await ask(
        pages,
        "/console/assets/index-abc.js",
        accept_encoding=accepted,
        if_none_match=answer.headers["etag"],
    )
    assert (known.status, known.body) == (304, b"")
    other = await ask(
        pages, "/console/assets/index-abc.js", accept_encoding=accepted, if_none_match='"x", "y"'
    )
    assert other.status == 200


async def test_hashed_files_are_kept_for_good_and_the_page_is_asked_for(pages: Pages) -> None:
    """A new build reaches browsers at once, and what has not changed is fetched once."""
    file = await ask(pages, "/console/assets/index-abc.js")
    assert "immutable" in file.headers["cache-control"]
    page = await ask(pages, "/console/")
    assert page.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/console/",
        "/console/hosts",
        "/console/hosts/agent_1",
        "/console/stamp",
        "/console/assets",
        "/console/../x.py",
    ],
)
async def test_any_address_is_the_page(pages: Pages, path: str) -> None:
    """An address that somebody was sent opens; the page itself knows what is there."""
    answer = await ask(pages, path)
    assert (answer.status, answer.body) == (200, b"<!doctype html>")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_of_another_build_is_not_the_page(pages: Pages) -> None:
    """A page that is older than the center learns so, and does not run HTML as a script."""
    answer = await ask(pages, "/console/assets/index-old.js")
    assert answer.status == 404
    for path in ("/console/assets/../../pages.py", "/console/assets/%2e%2e/stamp"):
        assert (await ask(pages, path)).status == 404


async def test_the_head_alone(pages: Pages) -> None:
    """HEAD has the headers of GET and no body; nothing else is taken."""
    head, whole = await ask(pages, "/console/", "HEAD"), await ask(pages, "/console/")
    assert (head.headers, head.body) == (whole.headers, b"")
    refused = await ask(pages, "/console/", "POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_the_address_alone_leads_to_the_console(pages: Pages) -> None:
    """Who types the center's name comes to the console."""
    for path in ("/", "/console"):
        answer = await ask(pages, path)
        assert (answer.status, answer.headers["location"]) == (307, "/console/")


async def test_a_center_without_a_console_says_so(tmp_path: Path) -> None:
    """Built where npm could not be reached, a center works all the same."""
    answer = await ask(Pages(tmp_path / "none"), "/console/hosts")
    assert answer.status == 404
    assert b"without its console" in answer.body


def test_only_the_consoles_own_addresses(pages: Pages) -> None:
    """The API's addresses are none of its business."""
    assert pages.has("/")
    assert pages.has("/console/hosts")
    assert not pages.has("/api/agents")
    assert not pages.has("/consoles")
