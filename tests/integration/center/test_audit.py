"""The audit log over the API: lists, verification and export, on both databases."""

import time
from typing import Any

import msgspec
import pytest

from outrider.domain.audit import FIRST, HEAD_HEADER, Line, Walk, parse_head
from tests.fixtures.api import Api
from tests.fixtures.links import enrol


async def _page(api: Api, query: str) -> dict[str, Any]:
    page: dict[str, Any] = await api.get(f"/api/audit?{query}")
    return page


async def test_the_newest_come_first(each_api: Api) -> None:
    """Unless the other order is asked for; what comes next is the `after` of the next page, and a link."""
    agent = await enrol(each_api)
    for label in ("a", "b", "c"):
        answer = await each_api.ask("PATCH", agent.path, {"label": label})
        assert answer.status == 200
    subject = f"subject={agent.id}&action=agent.change"
    down = await _page(each_api, f"{subject}&limit=2")
    assert [entry["data"]["label"] for entry in down["entries"]] == ["c", "b"]
    rest = await _page(each_api, f"{subject}&limit=2&after={down['next']}")
    assert [entry["data"]["label"] for entry in rest["entries"]] == ["a"]
    assert rest["next"] is None
    up = await _page(each_api, f"{subject}&order=asc")
    assert [entry["data"]["label"] for entry in up["entries"]] == ["a", "b", "c"]
    answer = await each_api.ask("GET", f"/api/audit?{subject}&limit=2")
    link = answer.headers["Link"]
    assert link.endswith('; rel="next"')
    linked = (await each_api.ask("GET", link.partition(">")[0].removeprefix("<"))).json
    assert linked == rest


async def test_a_time_narrows_the_list(each_api: Api) -> None:
    """`since` takes in its moment, `until` leaves it out."""
    agent = await enrol(each_api)
    (entry,) = (await _page(each_api, f"subject={agent.id}"))["entries"]
    at = entry["time"]
    assert len((await _page(each_api, f"subject={agent.id}&since={at}"))["entries"]) == 1
    assert (await _page(each_api, f"subject={agent.id}&until={at}"))["entries"] == []
    assert (await _page(each_api, f"subject={agent.id}&since={time.time() + 60}"))["entries"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "after=-1",
        "after=x",
        "order=up",
        "since=nan",
        "since=inf",
        "until=-1",
        f"actor={'x' * 201}",
        "subject=%00",
    ],
)
async def test_what_can_not_be_asked_is_400(api: Api, query: str) -> None:
    """A filter that can't be one is refused; it does not silently list everything."""
    answer = await api.ask("GET", f"/api/audit?{query}")
    assert (answer.status, answer.code) == (400, "invalid")


async def test_the_center_walks_its_own_log(each_api: Api) -> None:
    """The verdict names the head, to be noted elsewhere."""
    await enrol(each_api)
    verdict = await each_api.get("/api/audit/verify")
    assert verdict["ok"] is True
    assert verdict["problem"] is None
    assert verdict["first"] == 1
    assert parse_head(verdict["head"]).number == verdict["last"]


async def test_an_export_is_whole(each_api: Api) -> None:
    """One JSON object a line, chained, up to the head that the answer's header names."""
    await enrol(each_api)
    answer = await each_api.ask("GET", "/api/audit/export")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    walk = Walk(FIRST)
    for line in answer.body.splitlines():
        read = msgspec.json.decode(line, type=Line)
        assert walk.take(read.number, read.entry, bytes.fromhex(read.hash)) is None
    assert walk.end(parse_head(answer.headers[HEAD_HEADER])) is None
