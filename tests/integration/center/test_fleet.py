"""The fleet over the wire: seed 002 and its contract field by field, enrolment, lists, changes, deletion."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from outrider.center.fleet.tag_rows import as_text
from outrider.center.store.schema import agent_tags, agents
from outrider.center.store.writer import Transaction
from outrider.domain.enrolment import new_agent_key, new_enrolment_key
from outrider.protocol.messages import Facts, Heartbeat, Readings, Removed
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import own_center
from tests.fixtures.links import enrol, enrolment, send

SUMMARY: Final = {"id", "label", "hostname", "ip", "os", "version", "status", "last_seen", "tags"}


async def test_an_agent_in_the_list_has_the_fields_of_the_seed(each_api: Api) -> None:
    """Exactly seed 002's fields and types, no more: scripts compare whole objects."""
    agent = await enrol(each_api, tags=["web", "production"], label="web-01")
    async with agent.linked(
        each_api,
        facts=Facts(hostname="web-01.local", os="Ubuntu 24.04", ip="192.168.1.10", agent_version="2.1.0"),
    ):
        listed = await each_api.get("/api/agents", role="viewer")
    shown = next(each for each in listed if each["id"] == agent.id)
    assert abs(shown.pop("last_seen") - time.time()) < 60
    assert shown == {
        "id": agent.id,
        "label": "web-01",
        "hostname": "web-01.local",
        "ip": "192.168.1.10",
        "os": "Ubuntu 24.04",
        "version": "2.1.0",
        "status": "online",
        "tags": ["production", "web"],
    }
    assert agent.id.startswith("agent_")
    assert len(agent.id) >= len("agent_") + 12


async def test_an_agents_detail_has_the_lists_fields_and_more(each_api: Api) -> None:
    """The list's fields, the latest readings, abilities, the connection, first seen, the version."""
    agent = await enrol(each_api)
    facts = Facts(hostname="h", os="o", agent_version="0.1.0", abilities=("shell",))
    async with agent.linked(each_api, facts=facts) as link:
        await link.say(
            Heartbeat(
                number=1, time=time.time(), readings=Readings(cpu_percent=12.5, uptime_s=86400), paused=True
            )
        )
        await link.settled()
        shown = await each_api.get(agent.path, role="viewer")
    assert set(shown) >= SUMMARY
    assert isinstance(shown["last_seen"], int)
    assert isinstance(shown["first_seen"], int)
    assert shown["metrics"] == {
        "cpu_percent": 12.5,
        "mem_percent": 0.0,
        "disk_percent": 0.0,
        "uptime_s": 86400,
    }
    assert shown["abilities"] == ["shell"]
    assert shown["agent_version"] == shown["version"] == "0.1.0"
    assert shown["connection"]["link"] == "open"
    assert shown["connection"]["protocol"] == 1
    assert shown["conflict"] is None
    assert "key" not in str(sorted(shown)).lower()


async def test_the_readings_stay_when_the_link_is_gone(tmp_path: Path) -> None:
    """The latest snapshot is written behind: it is there after the link, and after a restart."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        agent = await enrol(own.api)
        async with agent.linked(own.api) as link:
            await link.say(Heartbeat(number=1, time=0.0, readings=Readings(cpu_percent=7.0)))
            await link.settled()
            await own.center.presence.write_behind()
    async with own_center(tmp_path, clock=clock) as own:
        assert (await own.api.get(agent.path))["metrics"]["cpu_percent"] == 7.0


async def test_a_report_has_the_fields_of_the_seed(each_api: Api) -> None:
    """Seed 002's body, with fields we do not know: taken, shown in the detail, the host is online."""
    agent = await enrol(each_api)
    body = {
        "hostname": "web-01",
        "os": "Ubuntu 24.04",
        "cpu_percent": 12.4,
        "mem_percent": 45.0,
        "disk_percent": 62.0,
        "uptime_s": 86400,
        "of_tomorrow": {"a": [1]},
    }
    answer = await agent.report(each_api, **body)
    assert answer.status == 200
    assert answer.json == {"status": "ok", "commands": [], "confirmed": []}
    shown = await each_api.get(agent.path)
    assert (shown["hostname"], shown["os"], shown["status"]) == ("web-01", "Ubuntu 24.04", "online")
    assert shown["metrics"] == {
        name: body[name] for name in ("cpu_percent", "mem_percent", "disk_percent", "uptime_s")
    }


async def test_deleting_is_for_good(each_api: Api) -> None:
    """The record and its history are gone, the key is dead at once, the link is told why and closed."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        command_id = await send(each_api, agent)
        deleted = await each_api.ask("DELETE", agent.path)
        assert (deleted.status, deleted.json) == (200, {"status": "deleted"})
        removed = await link.heard(Removed)
        assert "admin" in removed.detail
        assert (await link.ended()).code == 1000
    for path in (agent.path, f"{agent.path}/commands", f"{agent.path}/commands/{command_id}"):
        gone = await each_api.ask("GET", path)
        assert (gone.status, gone.code) == (404, "not_found"), path
    assert (await agent.report(each_api)).status == 404
    assert (await each_api.ask("DELETE", agent.path)).status == 404
    sent = await each_api.ask("POST", f"{agent.path}/commands", {"type": "ping"})
    assert (sent.status, sent.code) == (404, "not_found")
    assert agent.id not in [each["id"] for each in await each_api.get("/api/agents")]


async def test_command_types_are_described(api: Api) -> None:
    """Each type with its summary, the least role, and a JSON schema of its parameters."""
    types = {each["type"]: each for each in await api.get("/api/agents/command-types", role="viewer")}
    assert set(types) >= {"shell", "script", "ping", "system_info"}
    assert all(set(each) == {"type", "summary", "role", "params"} for each in types.values())
    schema = types["shell"]["params"]
    shell = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert shell["required"] == ["command"]
    assert set(shell["properties"]) == {"command", "timeout", "cwd", "env", "stdin", "user"}


# --- enrolment


async def test_a_key_is_told_once(each_api: Api) -> None:
    """The answer has the key's text; the list has all but the secret."""
    made = await each_api.post(
        "/api/enrolment-keys", {"label": "rack 4", "tags": ["web"], "uses": 2, "ttl": 60}
    )
    fields = {"id", "key", "short", "label", "tags", "approve", "uses", "expires", "install"}
    assert (set(made), made["short"]) == (fields, None)
    listed = next(key for key in await each_api.get("/api/enrolment-keys") if key["id"] == made["id"])
    assert set(listed) == {
        *("id", "label", "tags", "approve", "uses", "used", "created", "created_by", "expires"),
        *("last_used", "revoked"),
    }
    assert (listed["used"], listed["created_by"], listed["revoked"]) == (0, "the_admin", False)
    assert made["key"].split("_", 2)[2] not in str(listed)


async def test_a_key_without_limits(each_api: Api) -> None:
    """Null for `uses` and `ttl` means without limit."""
    made = await each_api.post("/api/enrolment-keys", {"uses": None, "ttl": None, "approve": True})
    assert (made["uses"], made["expires"]) == (None, None)
    for _ in range(3):
        await each_api.post("/api/agents/enrol", enrolment(made["key"]), role=None)


async def test_a_used_revoked_or_foreign_key_is_refused(each_api: Api) -> None:
    """401, and which of these it is; a malformed key is 400."""
    once = (await each_api.post("/api/enrolment-keys", {}))["key"]
    await each_api.post("/api/agents/enrol", enrolment(once), role=None)
    revoked = await each_api.post("/api/enrolment-keys", {})
    assert await _revoke(each_api, revoked["id"]) == 200
    for key, word in (
        (once, "used up"),
        (revoked["key"], "revoked"),
        (new_enrolment_key(()).format(), "not known"),
    ):
        answer = await each_api.ask("POST", "/api/agents/enrol", enrolment(key), role=None)
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert word in answer.json["detail"]
    assert await _revoke(each_api, "nosuchkey") == 404


async def test_a_key_expires(tmp_path: Path) -> None:
    """After its time to live a key takes nobody in."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        key = (await own.api.post("/api/enrolment-keys", {"ttl": 60.0}))["key"]
        await clock.advance(60.0)
        answer = await own.api.ask("POST", "/api/agents/enrol", enrolment(key), role=None)
        assert answer.status == 401
        assert "expired" in answer.json["detail"]


async def test_enrolling_again_gives_the_first_answer(each_api: Api) -> None:
    """An agent that never heard the answer asks again with the same keys: one agent, one use."""
    key = (await each_api.post("/api/enrolment-keys", {}))["key"]
    body = enrolment(key)
    first = await each_api.post("/api/agents/enrol", body, role=None)
    assert set(first) == {"agent_id", "approval", "label"}
    assert first["approval"] == "pending"
    assert await each_api.post("/api/agents/enrol", body, role=None) == first


async def test_a_host_that_enrols_anew_keeps_its_agent(each_api: Api) -> None:
    """The same identity with a new agent key: the same agent, the old agent key is dead."""
    private = ec.generate_private_key(ec.SECP256R1())
    answers = []
    old_key, last_key = new_agent_key(), new_agent_key()
    for agent_key in (old_key, last_key):
        key = (await each_api.post("/api/enrolment-keys", {}))["key"]
        body = enrolment(key, agent_key=agent_key, private_key=private)
        answers.append(await each_api.post("/api/agents/enrol", body, role=None))
    assert answers[0]["agent_id"] == answers[1]["agent_id"]
    path = f"/api/agents/{answers[0]['agent_id']}/report"
    for agent_key, status in ((old_key, 403), (last_key, 200)):
        headers = {"X-Agent-Key": agent_key}
        assert (await each_api.ask("POST", path, {}, role=None, headers=headers)).status == status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enrolment_key", "oek_nonsense"),
        ("enrolment_key", ""),
        ("agent_key", "oak_short"),
        ("public_key", "AAAA"),
        ("public_key", "é"),
        ("device_id", "A" * 52),
        ("proof", "not base64!"),
        ("proof", "é"),
    ],
)
async def test_a_malformed_enrolment_is_400(api: Api, field: str, value: str) -> None:
    """Each part that can't be read is named or explained; nothing is stored."""
    key = (await api.post("/api/enrolment-keys", {}))["key"]
    answer = await api.ask("POST", "/api/agents/enrol", enrolment(key) | {field: value}, role=None)
    assert answer.status == 400
    assert answer.code in ("invalid", "malformed_public_key")


async def test_a_proof_by_another_key_is_refused(api: Api) -> None:
    """Who does not hold the identity's private key gets no agent, and the enrolment key keeps its use."""
    key = (await api.post("/api/enrolment-keys", {}))["key"]
    body = enrolment(key)
    forged = body | {"proof": enrolment(key)["proof"]}
    answer = await api.ask("POST", "/api/agents/enrol", forged, role=None)
    assert (answer.status, answer.code) == (401, "unauthenticated")
    await api.post("/api/agents/enrol", body, role=None)


async def test_failed_enrolments_are_throttled(tmp_path: Path) -> None:
    """After twenty failures from one address: 429, with the time to come back."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        body = enrolment(new_enrolment_key(()).format())
        for _ in range(20):
            assert (await own.api.ask("POST", "/api/agents/enrol", body, role=None)).status == 401
        answer = await own.api.ask("POST", "/api/agents/enrol", body, role=None)
        assert (answer.status, answer.code) == (429, "throttled")
        assert int(answer.headers["Retry-After"]) >= 1


async def test_an_identity_in_use_is_not_given_away(tmp_path: Path) -> None:
    """While its machine is connected and answers, another machine with the same identity gets 409."""
    async with own_center(tmp_path) as own:
        agent = await enrol(own.api)
        key = (await own.api.post("/api/enrolment-keys", {}))["key"]
        body = enrolment(key, private_key=agent.private_key)
        async with agent.linked(own.api) as link, link.answering_probes():
            answer = await own.api.ask("POST", "/api/agents/enrol", body, role=None)
        assert (answer.status, answer.code) == (409, "conflict")


async def test_approving_and_declining(each_api: Api) -> None:
    """Pending, then approved with who and when, then declined, then approved again."""
    agent = await enrol(each_api, approve=False)
    assert (await each_api.get(agent.path))["status"] == "pending"
    assert (await each_api.get("/api/agents?status=pending&limit=10000"))[-1]["id"] == agent.id
    approved = await each_api.post(f"{agent.path}/approve")
    assert approved["approved_by"] == "the_admin"
    assert approved["approved_at"] is not None
    assert (await each_api.post(f"{agent.path}/approve"))["approved_at"] == approved["approved_at"]
    assert (await each_api.post(f"{agent.path}/decline"))["status"] == "declined"
    assert (await each_api.post(f"{agent.path}/approve"))["status"] == "online"
    assert (await each_api.ask("POST", "/api/agents/agent_000000000000/approve")).status == 404


# --- label and tags


async def test_changing_label_and_tags(each_api: Api) -> None:
    """`PATCH` sets the label or replaces all tags; words keep their case, names get upper case."""
    agent = await enrol(each_api, tags=["web"], label="first")
    await _patch(each_api, agent.path, {"label": "second"})
    shown = await _patch(each_api, agent.path, {"tags": ["Web", "site=x1", "db"]})
    assert (shown["label"], shown["tags"]) == ("second", ["Web", "db", "SITE=x1"])
    assert (await _patch(each_api, agent.path, {"tags": []}))["tags"] == []
    assert (await _patch(each_api, agent.path, {}))["label"] == "second"


@pytest.mark.parametrize(
    "body",
    [
        {"tags": ["a b"]},
        {"tags": ["AGENT_ID=1"]},
        {"tags": ["x"] * 65},
        {"label": ""},
        {"lable": "x"},
        {"tags": 1},
    ],
)
async def test_a_bad_change_is_400_and_changes_nothing(api: Api, body: dict[str, Any]) -> None:
    """Unfitting labels and tags, unknown fields: 400 and the agent stays as it was."""
    agent = await enrol(api, tags=["web"])
    answer = await api.ask("PATCH", agent.path, body, role="operator")
    assert (answer.status, answer.code) == (400, "invalid")
    assert (await api.get(agent.path))["tags"] == ["web"]


# --- the list


class _AddAgents:
    """Adds agents as they are, for lists that are too long to enrol."""

    name = "test.add_agents"
    rank = 1

    async def apply(self, tx: Transaction, items: Sequence[int]) -> Sequence[None]:
        for first in items:
            numbers = range(first, first + 500)
            await tx.conn.execute(sa.insert(agents), [_agent(number) for number in numbers])
            await tx.conn.execute(sa.insert(agent_tags), [_tag_row(number) for number in numbers])
        return [None] * len(items)


def _agent(number: int) -> dict[str, Any]:
    return {
        "id": f"agent_{number:020d}",
        "approval": "declined" if number % 100 == 7 else "approved",
        "label": f"host-{number}",
        "hostname": f"node{number}.example",
        "linked": "elsewhere" if number % 2 else None,
        "last_seen": 1.0,
        "tags": as_text([_tag(number)]),
    }


def _tag(number: int) -> str:
    return f"SITE=x{number % 20}" if number % 10 == 3 else "web"


def _tag_row(number: int) -> dict[str, Any]:
    name, equals, value = _tag(number).partition("=")
    return {
        "agent_id": f"agent_{number:020d}",
        "name": name,
        "value": value,
        "is_pair": bool(equals),
        "owner": "center",
        "version": 1,
    }


async def test_ten_thousand_agents_list_page_and_filter(tmp_path: Path, own_database_url: str | None) -> None:
    """All at once, page by page along the `Link` header, and by tag, status and text."""
    async with own_center(tmp_path, database_url=own_database_url) as own:
        add = _AddAgents()
        await own.center.store.writer.submit_many(add, list(range(0, 10_000, 500)))
        api = own.api
        everything = await api.get("/api/agents", role="viewer")
        ids = [each["id"] for each in everything]
        assert ids == [f"agent_{number:020d}" for number in range(10_000)]
        assert everything[3]["tags"] == ["SITE=x3"]

        paged: list[str] = []
        path: str | None = "/api/agents?limit=3000"
        pages = 0
        while path is not None:
            answer = await api.ask("GET", path, role="viewer")
            paged += [each["id"] for each in answer.json]
            path = _next(answer.headers.get("Link"))
            pages += 1
        assert (paged, pages) == (ids, 4)

        async def count(query: str) -> int:
            return len(await api.get(f"/api/agents?{query}"))

        assert await count("tag=web") == 9_000
        assert await count("tag=SITE%3Dx3") == 500
        assert await count("tag=site%3Dx3") == 500
        assert await count("tag=SITE%3Dx") == 0
        assert await count("tag=WEB") == 0
        assert await count("status=declined") == 100
        assert await count("status=online") == 4_900
        assert await count("status=offline") == 5_000
        assert await count("q=node1234") == 1
        assert await count("q=NODE12&tag=web") == 100
        assert await count("tag=") == await count("tag=web%0AWEB") == 0
        assert await count("q=%25") == await count("q=_5") == 0
        page = await api.ask("GET", "/api/agents?limit=2&tag=SITE%3Dx3&status=online&q=host")
        assert page.headers["Link"].count("tag=SITE%3Dx3") == 1
        following = await api.get(_next(page.headers["Link"]) or "")
        assert following[0]["id"] > page.json[-1]["id"]
        assert all(each["tags"] == ["SITE=x3"] for each in following)


async def test_the_last_page_has_no_next_one(api: Api) -> None:
    """Exactly as many as there are, and one too many: no `Link`."""
    agent = await enrol(api, tags=["only-one-of-these"])
    for limit in (1, 2):
        answer = await api.ask("GET", f"/api/agents?tag=only-one-of-these&limit={limit}")
        assert [each["id"] for each in answer.json] == [agent.id]
        assert "Link" not in answer.headers


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=10001", "status=gone", "q=%00", "after=%00"])
async def test_a_bad_filter_is_400(each_api: Api, query: str) -> None:
    """What can't be a filter is refused; it does not silently list everything."""
    answer = await each_api.ask("GET", f"/api/agents?{query}")
    assert (answer.status, answer.code) == (400, "invalid")


async def _patch(api: Api, path: str, body: dict[str, Any]) -> Any:
    answer = await api.ask("PATCH", path, body, role="operator")
    assert answer.status == 200, answer
    return answer.json


async def _revoke(api: Api, key_id: str) -> int:
    answer = await api.ask("DELETE", f"/api/enrolment-keys/{key_id}")
    return answer.status


def _next(link: str | None) -> str | None:
    if link is None:
        return None
    assert link.startswith("<")
    assert link.endswith('>; rel="next"')
    return link[1:].partition(">")[0]
