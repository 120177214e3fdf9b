"""Groups and profiles: who is in, what they get, and that hosts hear of it at once."""

from typing import Any, Final

import pytest

from outrider.protocol.messages import Profile, Tags, TagsSet, TagWrite
from tests.fixtures.api import Api
from tests.fixtures.links import TestAgent, TestLink, enrol

_SITE: Final = "SITE"


async def _group(api: Api, name: str, rule: str = "", **body: Any) -> Any:
    return await api.post("/api/groups", {"name": name, "rule": rule, **body})


async def _profile(api: Api, name: str, **params: str) -> Any:
    return await api.post("/api/profiles", {"name": name, "params": params})


async def _set_tags(api: Api, agent: TestAgent, *tags: str) -> None:
    answer = await api.ask("PATCH", agent.path, {"tags": tags})
    assert answer.status == 200, answer


async def _groups_of(api: Api, agent: TestAgent) -> list[str]:
    found: list[str] = (await api.get(agent.path))["labels"]
    return found


async def _params(link: TestLink, **params: str) -> Profile:
    """Wait for the profile that sets these parameters, among those of the default one."""
    return await link.heard(Profile, lambda said: params.items() <= said.params.items())


def _unique(agent: TestAgent, text: str) -> str:
    """Make a value that no other test's agents have."""
    return f"{text}-{agent.id[-8:]}"


async def test_tags_move_agents_in_and_out(each_api: Api) -> None:
    """A rule takes in who fits it, at once; tags that change move an agent; targets mean the members."""
    agent, other = await enrol(each_api), await enrol(each_api)
    site = _unique(agent, "x")
    await _set_tags(each_api, agent, f"SITE={site}")
    group = await _group(each_api, site, f"SITE={site} AND NOT RETIRED=^.*$")
    assert group["members"] == 1
    assert await _groups_of(each_api, agent) == [site]
    await _set_tags(each_api, other, f"SITE={site}")
    members = await each_api.get(f"/api/groups/{group['id']}/members")
    assert [(each["id"], each["by_hand"], each["by_rule"]) for each in members] == [
        (agent.id, False, True),
        (other.id, False, True),
    ]
    await _set_tags(each_api, agent, f"SITE={site}", "RETIRED=")
    assert await _groups_of(each_api, agent) == []
    meant = await each_api.post("/api/targets/preview", {"target": f"group:{site}"}, role="viewer")
    assert [each["id"] for each in meant["agents"]] == [other.id]
    changed = await each_api.ask("PATCH", f"/api/groups/{group['id']}", {"rule": ""})
    assert (changed.json["rule"], changed.json["members"]) == ("", 0)


async def test_a_rule_says_whom_it_would_take_in(each_api: Api) -> None:
    """A preview counts and names who fits, and whom a group would gain and lose; it changes nothing."""
    agent, other = await enrol(each_api), await enrol(each_api)
    site = _unique(agent, "x")
    await _set_tags(each_api, agent, f"SITE={site}")
    await _set_tags(each_api, other, f"SITE={site}-2")
    group = await _group(each_api, site, f"SITE={site}")
    asked = {"rule": f"SITE=^{site}-.*$", "group": group["id"]}
    shown = await each_api.post("/api/groups/preview", asked, role="viewer")
    assert [each["id"] for each in shown.pop("agents")] == [other.id]
    assert shown == {"count": 1, "joining": 1, "leaving": 1}
    await each_api.post(f"/api/groups/{group['id']}/members", {"add": [agent.id]})
    kept = await each_api.post("/api/groups/preview", asked)
    assert (kept["joining"], kept["leaving"]) == (1, 0)
    new = await each_api.post("/api/groups/preview", {"rule": f"SITE=^{site}.*$", "limit": 1})
    assert (new["count"], new["joining"], new["leaving"], len(new["agents"])) == (2, 2, 0, 1)
    wrong = await each_api.ask("POST", "/api/groups/preview", {"rule": "SITE=x AND"})
    assert (wrong.status, wrong.json["code"]) == (400, "invalid_sorting_rule")
    assert await _groups_of(each_api, other) == []


async def test_labels_and_ids_can_be_asked_for(api: Api) -> None:
    """AGENT_NAME is the label, and a new label moves the agent; AGENT_ID is its id."""
    agent = await enrol(api)
    name = _unique(agent, "rack")
    await _group(api, name, f"AGENT_NAME=^{name}.*$ OR AGENT_ID={agent.id[:-1]}")
    assert await _groups_of(api, agent) == []
    await api.ask("PATCH", agent.path, {"label": f"{name}-7"})
    assert await _groups_of(api, agent) == [name]
    await api.ask("PATCH", agent.path, {"label": "other"})
    assert await _groups_of(api, agent) == []


async def test_members_by_hand_stay_whatever_the_rule_says(each_api: Api) -> None:
    """Who is in by hand is in until somebody takes them out; by rule and by hand are told apart."""
    agent = await enrol(each_api)
    name = _unique(agent, "hand")
    group = await _group(each_api, name, f"SITE={name}")
    path = f"/api/groups/{group['id']}/members"
    assert (await each_api.post(path, {"add": [agent.id]}))["members"] == 1
    await _set_tags(each_api, agent, f"SITE={name}")
    await _set_tags(each_api, agent)
    assert [(each["by_hand"], each["by_rule"]) for each in await each_api.get(path)] == [(True, False)]
    await _set_tags(each_api, agent, f"SITE={name}")
    assert (await each_api.post(path, {"remove": [agent.id]}))["members"] == 1
    await _set_tags(each_api, agent)
    assert await each_api.get(path) == []
    missing = await each_api.ask("POST", path, {"add": [agent.id, "agent_nosuch"]})
    assert missing.code == "not_found"
    assert await each_api.get(path) == []


async def test_an_agent_hears_its_profile_at_each_link_and_change(each_api: Api) -> None:
    """Whatever changes what it comes to - parameters, group, priority, tags - reaches an open link."""
    agent = await enrol(each_api)
    name = _unique(agent, "p")
    low = await _profile(each_api, f"low {name}", client_api_port="4001", shared="low")
    high = await _profile(each_api, f"high {name}", client_api_port="4002")
    first = await _group(each_api, f"first {name}", f"SITE={name}", profile=low["id"])
    await _set_tags(each_api, agent, f"SITE={name}")
    async with agent.linked(each_api) as link:
        await _params(link, client_api_port="4001", shared="low")
        await each_api.ask("PATCH", f"/api/profiles/{low['id']}", {"params": {"shared": None, "own": "1"}})
        heard = await _params(link, own="1")
        assert "shared" not in heard.params
        second = await _group(each_api, f"second {name}", f"SITE={name}", profile=high["id"])
        # Of equal priority: the older group's counts.
        assert (await _params(link)).params["client_api_port"] == "4001"
        await each_api.ask("PATCH", f"/api/groups/{second['id']}", {"priority": 5})
        await _params(link, client_api_port="4002")
        detail = await each_api.get(agent.path)
        assert (detail["profile"]["id"], detail["profile"]["group_id"]) == (high["id"], second["id"])
        await each_api.ask("DELETE", f"/api/groups/{second['id']}")
        await _params(link, client_api_port="4001")
        await each_api.ask("PATCH", f"/api/groups/{first['id']}", {"profile": None})
        await link.heard(Profile, lambda said: "own" not in said.params)
    await each_api.ask("PATCH", f"/api/groups/{first['id']}", {"profile": low["id"]})
    async with agent.linked(each_api) as link:
        await _params(link, own="1")


async def test_everybody_inherits_from_the_default_profile(api: Api) -> None:
    """What it sets reaches agents of all profiles, unless these set it themselves; it can't be deleted."""
    agent = await enrol(api)
    name = _unique(agent, "d")
    (default,) = [each for each in await api.get("/api/profiles", role="viewer") if each["is_default"]]
    path = f"/api/profiles/{default['id']}"
    async with agent.linked(api) as link:
        await link.heard(Profile)
        await api.ask("PATCH", path, {"params": {name: "1"}})
        await _params(link, **{name: "1"})
        mine = await _profile(api, name, **{name: "2"})
        group = await _group(api, name, profile=mine["id"])
        await api.post(f"/api/groups/{group['id']}/members", {"add": [agent.id]})
        await _params(link, **{name: "2"})
        assert (await api.get(f"/api/profiles/{mine['id']}"))["comes_to"][name] == "2"
        await api.ask("PATCH", path, {"params": {name: None}})
    assert (await api.ask("DELETE", path)).code == "conflict"
    assert (await api.ask("PATCH", path, {"name": "other"})).code == "conflict"
    assert (await api.ask("DELETE", f"/api/profiles/{mine['id']}")).code == "conflict"
    await api.ask("DELETE", f"/api/groups/{group['id']}")
    assert (await api.ask("DELETE", f"/api/profiles/{mine['id']}")).json == {"status": "deleted"}


async def test_a_host_that_is_not_approved_is_told_no_profile(api: Api) -> None:
    """It hears its tags; its profile with its approval."""
    agent = await enrol(api, approve=False)
    async with agent.linked(api) as link:
        await link.heard(Tags)
        await link.settled()
        assert link.nothing_of(Profile)
        await api.ask("POST", f"{agent.path}/approve")
        await link.heard(Profile)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/api/groups", {"name": "x", "rule": "SITE"}, "invalid_sorting_rule"),
        ("POST", "/api/groups", {"name": "x", "rule": "A=^(x$"}, "invalid_sorting_rule"),
        ("POST", "/api/groups", {"name": "x", "rule": "A=^a**$"}, "invalid_sorting_rule"),
        ("POST", "/api/groups", {"name": " "}, "invalid"),
        ("POST", "/api/groups", {"name": "a\nb"}, "invalid"),
        ("POST", "/api/groups", {"name": "x", "profile": "prof_nosuch"}, "not_found"),
        ("PATCH", "/api/groups/grp_nosuch", {"priority": 1}, "not_found"),
        ("DELETE", "/api/groups/grp_nosuch", None, "not_found"),
        ("GET", "/api/groups/grp_nosuch/members", None, "not_found"),
        ("POST", "/api/groups/grp_nosuch/members", {}, "not_found"),
        ("POST", "/api/profiles", {"name": "x", "params": {"client_api_port": "no"}}, "invalid"),
        ("POST", "/api/profiles", {"name": "x", "params": {"a b": ""}}, "invalid"),
        ("PATCH", "/api/profiles/prof_nosuch", {}, "not_found"),
        ("DELETE", "/api/profiles/prof_nosuch", None, "not_found"),
    ],
)
async def test_what_can_not_be_is_refused(api: Api, method: str, path: str, body: Any, code: str) -> None:
    """With a code, and for a rule with the place of the error."""
    answer = await api.ask(method, path, body)
    assert answer.code == code, answer
    if code == "invalid_sorting_rule":
        assert answer.json["fields"]["position"] >= 0


async def test_names_are_taken_once(api: Api) -> None:
    """A second group or profile of a name is refused."""
    agent = await enrol(api)
    name = _unique(agent, "once")
    await _group(api, name)
    await _profile(api, name)
    assert (await api.ask("POST", "/api/groups", {"name": name})).code == "conflict"
    assert (await api.ask("POST", "/api/profiles", {"name": name})).code == "conflict"


# --- tags, both ways


def _value(said: Tags, name: str) -> tuple[str, str] | None:
    found = [(tag.value, tag.owner) for tag in said.tags if tag.name == name]
    return found[0] if found else None


async def _write(link: TestLink, name: str, value: str | None, *, at: int, number: int) -> Tags:
    """Write as a host does, and give the center's answer."""
    await link.say(TagsSet(writes=(TagWrite(name, value, at, number),), optional=True))
    return await link.heard(Tags, lambda said: said.taken >= number)


async def test_a_hosts_tags_are_seen_and_sort_it(each_api: Api) -> None:
    """What a host sets is shown, moves it, and is confirmed; a word the center set stays."""
    agent = await enrol(each_api)
    site = _unique(agent, "h")
    await _group(each_api, site, f"SITE={site}")
    await _set_tags(each_api, agent, "web")
    async with agent.linked(each_api) as link:
        said = await _write(link, "SITE", site, at=5, number=1)
        assert _value(said, "SITE") == (site, "host")
        assert (await each_api.get(agent.path))["tags"] == ["web", f"SITE={site}"]
        assert await _groups_of(each_api, agent) == [site]
        said = await _write(link, "SITE", None, at=6, number=2)
        assert _value(said, "SITE") is None
        assert await _groups_of(each_api, agent) == []


async def test_what_is_set_at_the_center_reaches_the_host(each_api: Api) -> None:
    """Values and removals, at once on an open link and with the next one after a break."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        await _set_tags(each_api, agent, "SITE=x1")
        await link.heard(Tags, lambda said: _value(said, "SITE") == ("x1", "center"))
        await _set_tags(each_api, agent)
        await link.heard(Tags, lambda said: not said.tags)
    await _set_tags(each_api, agent, "SITE=x2")
    async with agent.linked(each_api) as link:
        await link.heard(Tags, lambda said: _value(said, "SITE") == ("x2", "center"))


async def test_the_latest_write_wins(each_api: Api) -> None:
    """Also when it comes later than an older one: of values, of removals, on either side."""
    agent = await enrol(each_api)
    async with agent.linked(each_api) as link:
        await _set_tags(each_api, agent, "SITE=center")
        version = (await link.heard(Tags, lambda said: bool(said.tags))).tags[0].version
        older = await _write(link, "SITE", "older", at=version - 1, number=1)
        assert _value(older, "SITE") == ("center", "center")
        newer = await _write(link, "SITE", "newer", at=version + 1, number=2)
        assert _value(newer, "SITE") == ("newer", "host")
        await _set_tags(each_api, agent)
        stale = await _write(link, "SITE", "stale", at=version + 2, number=3)
        assert _value(stale, "SITE") is None
        # A clock that is ahead does not shut the center out.
        ahead = await _write(link, "SITE", "ahead", at=2**50, number=4)
        assert _value(ahead, "SITE") == ("ahead", "host")
        await _set_tags(each_api, agent, "SITE=last")
        await link.heard(Tags, lambda said: _value(said, "SITE") == ("last", "center"))


async def test_the_same_write_again_changes_nothing(api: Api) -> None:
    """A host that did not hear the answer says it again; what was written since stays."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        first = await _write(link, "SITE", "x", at=5, number=1)
        await _set_tags(api, agent, "SITE=y")
        again = await _write(link, "SITE", "x", at=5, number=1)
        assert (_value(first, "SITE"), _value(again, "SITE")) == (("x", "host"), ("y", "center"))


async def test_a_host_without_a_link_hears_and_tells_by_its_reports(each_api: Api) -> None:
    """Where no WebSocket gets through, tags and the profile travel with the reports of an agent."""
    agent = await enrol(each_api)
    name = _unique(agent, "poll")
    profile = await _profile(each_api, name, mine="1")
    await _group(each_api, name, f"SITE={name}", profile=profile["id"])
    answer = (await agent.report(each_api, identity=True, tags_set=[["SITE", name, 5, 1]])).json
    assert [tag[:3] for tag in answer["tags"]["tags"]] == [["SITE", name, "host"]]
    assert answer["tags"]["taken"] == 1
    assert answer["profile"]["params"]["mine"] == "1"
    assert set((await agent.report(each_api)).json) == {"status", "commands", "confirmed"}
    waiting = await enrol(each_api, approve=False)
    assert "profile" not in (await waiting.report(each_api, identity=True)).json


async def test_what_no_agent_may_have_is_passed_over(api: Api) -> None:
    """It is confirmed, so that it is not said for ever, and nothing else suffers."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        writes = (
            TagWrite("AGENT_ID", "x", 5, 1),
            TagWrite("A B", "x", 5, 2),
            TagWrite("A", "two\nlines", 5, 3),
            TagWrite("GOOD", "1", 5, 4),
        )
        await link.say(TagsSet(writes=writes, optional=True))
        said = await link.heard(Tags, lambda said: said.taken == 4)
        assert [tag.name for tag in said.tags] == ["GOOD"]
        many = tuple(TagWrite(f"T{number}", "", 5, number) for number in range(5, 105))
        await link.say(TagsSet(writes=many, optional=True))
        said = await link.heard(Tags, lambda said: said.taken == 104)
        assert len(said.tags) == 64


async def test_removals_are_remembered_within_bounds(api: Api) -> None:
    """A host can't fill the database with names that it removes."""
    agent = await enrol(api)
    async with agent.linked(api) as link:
        for start in range(1, 301, 100):
            gone = tuple(TagWrite(f"T{number}", None, number, number) for number in range(start, start + 100))
            await link.say(TagsSet(writes=gone, optional=True))
        await link.heard(Tags, lambda said: said.taken == 300)
        said = await _write(link, "T300", "stale", at=299, number=301)
        assert _value(said, "T300") is None
        said = await _write(link, "T1", "x", at=1, number=302)
        assert _value(said, "T1") == ("x", "host")
