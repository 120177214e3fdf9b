"""Targets over the wire: the preview and the list's filter."""

import secrets

from tests.fixtures.api import Api
from tests.fixtures.links import enrol


async def test_a_preview_shows_whom_a_target_means(each_api: Api) -> None:
    """How many, by status, and the first of them as the list shows agents."""
    word = f"w{secrets.token_hex(4)}"
    one, other = await enrol(each_api, tags=[word], label="one"), await enrol(each_api, tags=[word])
    async with one.linked(each_api):
        shown = await each_api.post("/api/targets/preview", {"target": f"tag:{word}"}, role="viewer")
        listed = await each_api.get(f"/api/agents?tag={word}", role="viewer")
        cut = await each_api.post("/api/targets/preview", {"target": f"tag:{word}", "limit": 1})
        not_one = await each_api.post("/api/targets/preview", {"target": f"tag:{word} and not one"})
    assert shown == {
        "count": 2,
        "by_status": shown["by_status"],
        "agents": listed,
        "unmatched": [],
    }
    assert sum(shown["by_status"].values()) == 2
    assert (cut["count"], [each["id"] for each in cut["agents"]]) == (2, [one.id])
    assert [each["id"] for each in not_one["agents"]] == [other.id]


async def test_a_preview_of_nobody_says_why(each_api: Api) -> None:
    """A preview is there to find that out: it is no error, and names the terms that nobody fits."""
    shown = await each_api.post("/api/targets/preview", {"target": "tag:nosuchtag or group:nosuch"})
    assert shown == {
        "count": 0,
        "by_status": {},
        "agents": [],
        "unmatched": ["tag:nosuchtag", "group:nosuch"],
    }


async def test_pending_hosts_are_meant_only_by_their_status(each_api: Api) -> None:
    """A dispatch goes to approved hosts; who asks for pending ones sees them."""
    word = f"w{secrets.token_hex(4)}"
    pending = await enrol(each_api, tags=[word], approve=False)
    nobody = await each_api.post("/api/targets/preview", {"target": f"tag:{word}"})
    assert nobody["count"] == 0
    shown = await each_api.post("/api/targets/preview", {"target": f"status:pending and tag:{word}"})
    assert shown["by_status"] == {"pending": 1}
    assert [each["id"] for each in shown["agents"]] == [pending.id]


async def test_a_bad_expression_is_pointed_at(each_api: Api) -> None:
    """400 with the place, what could stand there, and a line of carets."""
    answer = await each_api.ask("POST", "/api/targets/preview", {"target": "tag:web and tags:db"})
    assert (answer.status, answer.code) == (400, "invalid_target")
    fields = answer.json["fields"]
    assert (fields["position"], fields["length"]) == (12, 5)
    assert "tag:" in fields["expected"]
    assert answer.json["detail"].endswith("  tag:web and tags:db\n              ^^^^^")
    for target in ("", " ", "tag:A=^($"):
        answer = await each_api.ask("POST", "/api/targets/preview", {"target": target})
        assert (answer.status, answer.code) == (400, "invalid_target"), target


async def test_the_list_takes_a_target_beside_its_filters(each_api: Api) -> None:
    """`?target=` narrows the list; hosts that are not approved are meant as well."""
    word = f"w{secrets.token_hex(4)}"
    one = await enrol(each_api, tags=[word, "SITE=x1"], label=f"{word}-1")
    pending = await enrol(each_api, tags=[word], label=f"{word}-2", approve=False)
    both = await each_api.get(f"/api/agents?target={word}-%3F", role="viewer")
    assert [each["id"] for each in both] == [one.id, pending.id]
    narrowed = await each_api.get(f"/api/agents?tag={word}&target=tag:SITE%3D%5Ex.%24")
    assert [each["id"] for each in narrowed] == [one.id]
    bad = await each_api.ask("GET", "/api/agents?target=and")
    assert (bad.status, bad.code) == (400, "invalid_target")
