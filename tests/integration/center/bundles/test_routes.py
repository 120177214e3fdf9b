"""Bundles over the wire: who is let in, offers, whole downloads and parts of them."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from outrider import __version__
from outrider.center.blobs.opening import open_blobs
from outrider.center.bundles.installed import Content
from outrider.center.bundles.kept import KeptBundles
from outrider.center.bundles.packing import pack
from outrider.center.bundles.rows import BundleRow, Origin
from outrider.center.settings import CenterSettings
from outrider.center.visits import visited
from outrider.client import AsyncCenter
from outrider.domain.bundles import BundleTarget
from outrider.domain.enrolment import new_agent_key, new_enrolment_key
from outrider.domain.errors import NotFound
from outrider.kit.clock import SystemClock
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Answer, Api
from tests.fixtures.bundles import OTHER, archive, content
from tests.fixtures.center import DEAD_API_TOKENS, RunningCenter, center_process, open_api, own_center
from tests.fixtures.links import enrol, enrolment
from tests.fixtures.resources import Kept
from tests.integration.center.bundles.shelf import ME

OFFER: Final = f"/api/agents/bundle/offer?python={OTHER.python}&platform={OTHER.platform}"
FILES: Final = {
    "a.so": b"".join(hashlib.sha256(bytes([n, m])).digest() for n in range(250) for m in range(250))
}
MADE: Final = content(FILES, glibc="2.28")
BYTES: Final = archive(MADE)


@dataclass
class Lab:
    """A center with a bundle for a Python and platform that are not its own."""

    api: Api
    settings: CenterSettings
    row: BundleRow

    @property
    def path(self) -> str:
        """Where the bundle is fetched."""
        return f"/api/agents/bundle/{self.row.digest}"

    async def offer(self, headers: Mapping[str, str]) -> Answer:
        """Ask for an offer with these credentials."""
        return await self.api.ask("GET", OFFER, role=None, headers=headers)

    async def fetch(self, **headers: str) -> Answer:
        """Fetch the bundle as an administrator."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.ask("GET", self.path, headers=named)


async def keep(settings: CenterSettings, made: Content) -> BundleRow:
    """Keep a bundle beside the running center, as its owner does."""
    async with visited(settings) as store:
        kept = KeptBundles(store, open_blobs(None, home=settings.home), SystemClock())
        sink = io.BytesIO()
        packed = pack(sink, made.manifest, made.parts)
        return await kept.add(sink, made.manifest, packed, origin=Origin.FILE, by=ME)


async def remove(settings: CenterSettings, row: BundleRow) -> None:
    """Remove one, likewise."""
    async with visited(settings) as store:
        kept = KeptBundles(store, open_blobs(None, home=settings.home), SystemClock())
        await kept.remove(row.digest, by=ME, force=True)


@pytest.fixture(scope="module")
def lab_center(
    tmp_path_factory: pytest.TempPathFactory, kept: Kept
) -> Iterator[tuple[RunningCenter, CenterSettings, BundleRow]]:
    """A center as a process, and the bundle that was brought to it while it ran."""
    settings = CenterSettings(home=tmp_path_factory.mktemp("bundles") / "home")
    with center_process(settings.home, kept) as running:
        yield running, settings, asyncio.run(keep(settings, MADE))


@pytest.fixture
async def lab(lab_center: tuple[RunningCenter, CenterSettings, BundleRow]) -> AsyncIterator[Lab]:
    """The center, asked from an address of the test's own."""
    running, settings, row = lab_center
    async with open_api(running.url, running.tokens) as api:
        yield Lab(api, settings, row)


async def test_an_offer_says_all_that_a_host_needs(lab: Lab) -> None:
    """Which agent it is, its digest and size, what it runs on."""
    answer = await lab.api.get(OFFER)
    assert answer == {
        "version": __version__,
        "build": MADE.manifest.build,
        "name": MADE.manifest.file_name,
        "digest": hashlib.sha256(BYTES).hexdigest(),
        "size": len(BYTES),
        "unpacked": MADE.manifest.unpacked,
        "python": OTHER.python,
        "platform": OTHER.platform,
        "glibc": "2.28",
        "protocol": [1, 1],
    }
    assert await lab.api.get(f"{OFFER}&version={__version__}&glibc=2.36") == answer


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("python=3.10&platform=linux-x86_64", 400, "bad_bundle_target"),
        ("python=3.12&platform=plan9", 400, "bad_bundle_target"),
        ("python=3.12", 400, "invalid"),
        ("platform=linux-x86_64", 400, "invalid"),
        ("python=3.12&platform=linux-aarch64&version=9.9", 404, "no_bundle"),
        ("python=3.12&platform=linux-aarch64&glibc=2.17", 404, "no_bundle"),
        ("python=3.98&platform=linux-riscv64-musl", 404, "no_bundle"),
        (f"python=3.12&platform=linux-aarch64&version={'9' * 81}", 400, "invalid"),
    ],
)
async def test_what_can_not_be_offered(lab: Lab, query: str, status: int, code: str) -> None:
    """A problem document that says why, or what to do."""
    answer = await lab.api.ask("GET", f"/api/agents/bundle/offer?{query}")
    assert (answer.status, answer.code) == (status, code)
    if query.startswith("python=3.98"):
        assert "build --python 3.98 --platform linux-riscv64-musl" in answer.json["detail"]


async def test_an_agent_is_let_in(lab: Lab) -> None:
    """Approved or not yet; declined or deleted it is not."""
    agent = await enrol(lab.api, approve=False)
    shown = {"X-Agent-Id": agent.id, "X-Agent-Key": agent.key}
    assert (await lab.offer(shown)).status == 200
    await lab.api.post(f"{agent.path}/approve")
    assert (await lab.offer(shown)).status == 200
    fetched = await lab.api.ask("GET", lab.path, role=None, headers=shown)
    assert (fetched.status, fetched.body) == (200, BYTES)
    other = await enrol(lab.api)
    for wrong, status in (
        ({**shown, "X-Agent-Key": new_agent_key()}, 403),
        ({**shown, "X-Agent-Key": other.key}, 403),
        ({**shown, "X-Agent-Id": "agent_00000000000000000000"}, 404),
        ({**shown, "X-Agent-Id": "nonsense"}, 404),
        ({"X-Agent-Id": agent.id}, 401),
        ({"X-Agent-Key": agent.key}, 404),
    ):
        assert (await lab.offer(wrong)).status == status, wrong
    await lab.api.post(f"{agent.path}/decline")
    declined = await lab.offer(shown)
    assert (declined.status, declined.code) == (403, "forbidden")
    await lab.api.ask("DELETE", agent.path)
    assert (await lab.offer(shown)).status == 404


async def test_a_host_that_may_join_is_let_in(lab: Lab) -> None:
    """By an enrolment key that is alive, which is not used up by it; a dead one says what it died of."""
    made = await lab.api.post("/api/enrolment-keys", {"ttl": 600.0})
    shown = {"X-Enrolment-Key": made["key"]}
    for _ in range(3):
        assert (await lab.offer(shown)).status == 200
    assert (await lab.api.ask("GET", lab.path, role=None, headers=shown)).body == BYTES
    await lab.api.post("/api/agents/enrol", enrolment(made["key"]), role=None)
    revoked = await lab.api.post("/api/enrolment-keys", {})
    await lab.api.ask("DELETE", f"/api/enrolment-keys/{revoked['id']}")
    for key, why in (
        (made["key"], "used up"),
        (revoked["key"], "revoked"),
        (new_enrolment_key(()).format(), "not known"),
        ("oek_nonsense", "malformed"),
        (new_agent_key(), "malformed"),
    ):
        dead = await lab.offer({"X-Enrolment-Key": key})
        assert (dead.status, dead.code) == (401, "unauthenticated"), why
        assert why in dead.json["detail"]
        assert (await lab.api.ask("GET", lab.path, role=None, headers={"X-Enrolment-Key": key})).status == 401


async def test_a_key_that_has_expired_lets_nobody_in(tmp_path: Path) -> None:
    """It says so."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        key = (await own.api.post("/api/enrolment-keys", {"ttl": 10.0}))["key"]
        await clock.advance(10.0)
        answer = await own.api.ask("GET", OFFER, role=None, headers={"X-Enrolment-Key": key})
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert "expired" in answer.json["detail"]


async def test_administrators_are_let_in(lab: Lab) -> None:
    """By session or API token; nobody of a lower role, and nobody whose sign-in is over."""
    for role in ("admin", "super_admin", "api_admin"):
        assert (await lab.api.ask("GET", OFFER, role=role)).status == 200
    for role in ("viewer", "operator", "api_operator"):
        answer = await lab.api.ask("GET", OFFER, role=role)
        assert (answer.status, answer.code) == (403, "forbidden")
    for role in ("expired", "disabled", *DEAD_API_TOKENS):
        assert (await lab.api.ask("GET", OFFER, role=role)).status == 401
    nobody = await lab.api.ask("GET", OFFER, role=None)
    assert (nobody.status, nobody.code) == (401, "unauthenticated")
    assert "X-Enrolment-Key" in nobody.json["detail"]
    assert (await lab.api.ask("GET", lab.path, role=None)).status == 401


async def test_a_wrong_key_is_not_made_up_for_by_another(lab: Lab) -> None:
    """One kind of credentials counts: whoever shows a dead key is told so."""
    shown = {"X-Agent-Id": "agent_00000000000000000000", "X-Agent-Key": new_agent_key()}
    answer = await lab.api.ask("GET", OFFER, role="admin", headers=shown)
    assert answer.status == 404
    answer = await lab.api.ask("GET", OFFER, role="admin", headers={"X-Enrolment-Key": "oek_nonsense"})
    assert answer.status == 401


async def test_a_whole_download(lab: Lab) -> None:
    """With its length, type, name and tag; nobody on the way keeps it."""
    answer = await lab.fetch()
    assert (answer.status, answer.body) == (200, BYTES)
    assert answer.headers["Content-Length"] == str(len(BYTES))
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.headers["ETag"] == f'"{lab.row.digest}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert MADE.manifest.file_name in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-1", slice(-1, None)),
        (f"bytes={len(BYTES) - 1}-", slice(len(BYTES) - 1, None)),
        ("bytes=5-99999999999", slice(5, None)),
    ],
)
async def test_a_part_of_it(lab: Lab, wanted: str, part: slice) -> None:
    """What is asked for, and where it lies in the whole."""
    answer = await lab.fetch(Range=wanted, If_Range=f'"{lab.row.digest}"')
    expected = BYTES[part]
    start = BYTES.index(expected) if len(expected) > 1 else len(BYTES) - 1
    assert (answer.status, answer.body) == (206, expected)
    last = start + len(expected) - 1
    assert answer.headers["Content-Range"] == f"bytes {start}-{last}/{len(BYTES)}"
    assert answer.headers["Content-Length"] == str(len(expected))


async def test_a_part_of_another_bundle_is_not_sent(lab: Lab) -> None:
    """What was begun with other bytes begins anew; a part beyond the end is refused."""
    whole = await lab.fetch(Range="bytes=5-", If_Range='"other"')
    assert (whole.status, whole.body) == (200, BYTES)
    beyond = await lab.fetch(Range=f"bytes={len(BYTES)}-")
    assert (beyond.status, beyond.code) == (416, "range_not_satisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{len(BYTES)}"
    same = await lab.fetch(If_None_Match=f'"{lab.row.digest}"')
    assert (same.status, same.body) == (304, b"")


async def test_a_download_that_was_cut_goes_on(lab: Lab) -> None:
    """The host asks for the rest; together it is the bundle."""
    headers = lab.api.bearer("admin")
    async with lab.api.session.get(lab.api.url + lab.path, headers=headers) as answer:
        taken = await answer.content.readexactly(100_000)
        answer.close()
    rest = await lab.fetch(Range=f"bytes={len(taken)}-", If_Range=f'"{lab.row.digest}"')
    assert taken + rest.body == BYTES


@pytest.mark.parametrize(
    ("digest", "status", "code"), [("0" * 64, 404, "no_bundle"), ("nonsense", 400, "bad_bundle")]
)
async def test_what_is_not_there(lab: Lab, digest: str, status: int, code: str) -> None:
    """A digest that nothing has, and what is no digest."""
    answer = await lab.api.ask("GET", f"/api/agents/bundle/{digest}")
    assert (answer.status, answer.code) == (status, code)


async def test_one_that_is_removed_while_it_is_fetched(lab: Lab) -> None:
    """Who has begun gets all of it; who comes later is told to ask again."""
    target = BundleTarget("3.13", "linux-aarch64")
    made = content(FILES, target=target)
    row = await keep(lab.settings, made)
    url = f"{lab.api.url}/api/agents/bundle/{row.digest}"
    async with lab.api.session.get(url, headers=lab.api.bearer("admin")) as answer:
        await remove(lab.settings, row)
        assert await answer.read() == archive(made)
    gone = await lab.api.ask("GET", f"/api/agents/bundle/{row.digest}")
    assert (gone.status, gone.code) == (404, "no_bundle")
    offer = f"/api/agents/bundle/offer?python={target.python}&platform={target.platform}"
    assert (await lab.api.ask("GET", offer)).status == 404


async def test_administrators_see_them_all(lab: Lab) -> None:
    """What each is, where it came from, who runs it."""
    shown = next(each for each in await lab.api.get("/api/bundles") if each["digest"] == lab.row.digest)
    offer: dict[str, Any] = await lab.api.get(OFFER)
    assert shown == {
        **offer,
        "packages": MADE.manifest.packages,
        "origin": "file",
        "created": int(lab.row.created),
        "created_by": ME.name,
        "agents": 0,
        "offered": True,
    }


async def test_the_client_asks_for_them(lab_center: tuple[RunningCenter, CenterSettings, BundleRow]) -> None:
    """All that are kept, and what a host gets; the error says what to do."""
    running, _, row = lab_center
    async with AsyncCenter(running.url, token=running.tokens["admin"]) as center:
        assert row.digest in [each.digest for each in await center.bundles()]
        offer = await center.bundle_offer(OTHER.python, OTHER.platform, version=__version__)
        assert (offer.digest, offer.size, offer.name) == (row.digest, row.size, row.file_name)
        with pytest.raises(NotFound, match="outrider center bundle build"):
            await center.bundle_offer("3.97", OTHER.platform)
