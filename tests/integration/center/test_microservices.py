"""Microservices at the center: what people do with configurations, and what agents are told of them."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from outrider.domain.ids import MicroserviceId
from outrider.domain.microservices import (
    MAX_CONFIG,
    MAX_CONFIGS,
    MAX_MICROSERVICES,
    NO_MICROSERVICES,
    digest_of,
    version_of,
)
from outrider.protocol.messages import Configs, ConfigsHeld
from tests.fixtures.api import Answer, Api
from tests.fixtures.links import TestAgent, enrol

_A, _B = MicroserviceId("ms-a"), MicroserviceId("ms-b")


def _digest(**configs: str) -> str:
    return digest_of({MicroserviceId(f"ms-{name}"): version_of(text) for name, text in configs.items()})


async def _set(api: Api, agent: TestAgent, name: str, config: str) -> dict[str, Any]:
    answer = await api.ask("PUT", f"{agent.path}/microservices/{name}/config", {"config": config})
    assert answer.status == 200, answer
    shown: dict[str, Any] = answer.json
    return shown


async def _entries(api: Api, agent: TestAgent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get(f"/api/audit?subject={agent.id}"))["entries"]
    return [entry for entry in found if entry["action"].startswith("microservice.")]


async def test_what_is_stored_is_shown(each_api: Api) -> None:
    """A configuration makes its microservice known, is listed without its text, and read back as it was."""
    agent = await enrol(each_api)
    before = time.time()
    shown = await _set(each_api, agent, "ms-b", "")
    assert shown["bytes"] == 0
    assert before - 1 <= shown["created"] == shown["changed"] <= time.time() + 1
    config = '{"a": "\u00e4\n"}'
    await _set(each_api, agent, "ms-a", config)
    listed = await each_api.get(f"{agent.path}/microservices")
    assert [each["id"] for each in listed] == ["ms-a", "ms-b"]
    assert listed[0]["bytes"] == len(config.encode())
    assert listed[0]["changed_by"]
    assert all("config" not in each for each in listed)
    assert (await each_api.get(f"{agent.path}/microservices/ms-a/config"))["config"] == config


async def test_the_same_text_changes_nothing(api: Api) -> None:
    """Again the same: no entry, no event, no other time; another text: one of each."""
    agent = await enrol(api)
    first = await _set(api, agent, "ms-a", "1")
    assert await _set(api, agent, "ms-a", "1") == first
    assert len(await _entries(api, agent)) == 1
    assert (await _set(api, agent, "ms-a", "2"))["created"] == first["created"]
    assert len(await _entries(api, agent)) == 2


async def test_the_audit_log_never_has_the_text(api: Api) -> None:
    """A configuration may hold passwords: entries name the microservice and the size."""
    agent = await enrol(api)
    await _set(api, agent, "ms-a", "password=hunter2")
    answer = await api.ask("DELETE", f"{agent.path}/microservices/ms-a")
    assert answer.status == 200
    entries = await _entries(api, agent)
    assert sorted(entry["action"] for entry in entries) == ["microservice.configure", "microservice.remove"]
    assert "hunter2" not in str(entries)
    assert all(entry["data"]["microservice"] == "ms-a" for entry in entries)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"config": 5},
        {"config": None},
        {"config": "x", "more": 1},
        {"config": "x" * (MAX_CONFIG + 1)},
        {"config": "\u00e4" * (MAX_CONFIG // 2 + 1)},
        {"config": "a\0b"},
    ],
)
async def test_what_is_no_configuration_is_refused(api: Api, body: dict[str, Any]) -> None:
    """Other shapes, more than 64 KiB and null characters: 400, and nothing is stored."""
    agent = await enrol(api)
    answer = await api.ask("PUT", f"{agent.path}/microservices/ms-a/config", body)
    assert answer.status == 400, answer
    assert await api.get(f"{agent.path}/microservices") == []


async def test_ids_have_a_shape(api: Api) -> None:
    """What can't stand in an address is no id."""
    agent = await enrol(api)
    for name in ("a.b", "a%20b", "x" * 65):
        answer = await api.ask("PUT", f"{agent.path}/microservices/{name}/config", {"config": ""})
        assert answer.status == 400, (name, answer)


async def test_who_is_not_there(api: Api) -> None:
    """An unknown agent or microservice is 404, and says which."""
    agent = await enrol(api)
    unknown = "/api/agents/agent_00000000000000000000/microservices"
    asked: list[Answer] = [
        await api.ask("GET", unknown),
        await api.ask("GET", f"{unknown}/ms-a/config"),
        await api.ask("PUT", f"{unknown}/ms-a/config", {"config": ""}),
        await api.ask("DELETE", f"{unknown}/ms-a"),
    ]
    assert all(answer.status == 404 and "no agent" in answer.json["detail"] for answer in asked)
    asked = [
        await api.ask("GET", f"{agent.path}/microservices/ms-a/config"),
        await api.ask("DELETE", f"{agent.path}/microservices/ms-a"),
    ]
    assert all(answer.status == 404 and "ms-a" in answer.json["detail"] for answer in asked)


async def test_viewers_see_no_text(api: Api) -> None:
    """They see which there are, and neither read nor change configurations."""
    agent = await enrol(api)
    await _set(api, agent, "ms-a", "secret")
    path = f"{agent.path}/microservices"
    listed = await api.ask("GET", path, role="viewer")
    assert listed.status == 200
    assert "secret" not in str(listed.json)
    assert (await api.ask("GET", f"{path}/ms-a/config", role="viewer")).status == 403


async def test_there_is_a_limit_to_all_of_an_agent(each_api: Api) -> None:
    """4 MiB together: one more byte is refused, and what replaces another is counted once."""
    agent = await enrol(each_api)
    for number in range(MAX_CONFIGS // MAX_CONFIG):
        await _set(each_api, agent, f"ms-{number}", "x" * MAX_CONFIG)
    answer = await each_api.ask("PUT", f"{agent.path}/microservices/more/config", {"config": "x"})
    assert answer.status == 409
    await _set(each_api, agent, "ms-0", "y" * MAX_CONFIG)
    await _set(each_api, agent, "more", "")


async def test_a_deleted_agent_takes_them_along(each_api: Api) -> None:
    """Nothing is left that a later agent could trip over."""
    agent = await enrol(each_api)
    await _set(each_api, agent, "ms-a", "1")
    assert (await each_api.ask("DELETE", agent.path)).status == 200
    assert (await each_api.ask("GET", f"{agent.path}/microservices")).status == 404


async def test_a_linked_agent_is_told_what_changes_and_nothing_else(api: Api) -> None:
    """Each change is one message with its text; the digest says what all come to."""
    agent = await enrol(api)
    await _set(api, agent, "ms-b", "old")
    async with agent.linked(api) as link:
        await _set(api, agent, "ms-a", "1")
        told = await link.heard(Configs)
        assert [(each.id, each.config) for each in told.changed] == [(_A, "1")]
        assert (told.known, told.removed) == (None, ())
        assert told.digest == _digest(a="1", b="old")
        await api.ask("DELETE", f"{agent.path}/microservices/ms-b")
        told = await link.heard(Configs)
        assert (told.changed, told.removed, told.digest) == ((), (_B,), _digest(a="1"))
        await _set(api, agent, "ms-a", "1")
        await link.settled()
        assert link.nothing_of(Configs)


async def test_an_agent_that_has_another_digest_is_told_all_names(each_api: Api) -> None:
    """It is told versions, asks for texts and gets them; with the same digest it is told nothing."""
    agent = await enrol(each_api)
    await _set(each_api, agent, "ms-a", "1")
    await _set(each_api, agent, "ms-b", "2")
    async with agent.linked(each_api) as link:
        await link.say(ConfigsHeld(digest=NO_MICROSERVICES, optional=True))
        told = await link.heard(Configs)
        assert told.known is not None
        assert {each.id: each.version for each in told.known} == {_A: version_of("1"), _B: version_of("2")}
        assert told.changed == ()
        gone = MicroserviceId("ms-gone")
        await link.say(ConfigsHeld(digest=NO_MICROSERVICES, wanted=(_A, _B, gone), optional=True))
        told = await link.heard(Configs)
        assert {each.id: each.config for each in told.changed} == {_A: "1", _B: "2"}
        assert (told.removed, told.known) == ((gone,), None)
        await link.say(ConfigsHeld(digest=told.digest, optional=True))
        await link.settled()
        assert link.nothing_of(Configs)


async def test_texts_come_in_parts_that_a_frame_can_hold(api: Api) -> None:
    """4 MiB of texts: however many are asked for, each answer has some of them, and no link breaks."""
    agent = await enrol(api)
    names = [MicroserviceId(f"ms-{number}") for number in range(MAX_CONFIGS // MAX_CONFIG)]
    for name in names:
        await _set(api, agent, name, "x" * MAX_CONFIG)
    async with agent.linked(api) as link:
        missing = set(names)
        while missing:
            await link.say(ConfigsHeld(digest="", wanted=tuple(sorted(missing)), optional=True))
            told = await link.heard(Configs)
            assert told.changed
            missing -= {each.id for each in told.changed}


async def test_a_pending_agent_is_told_when_it_is_approved(api: Api) -> None:
    """Not before: whoever may not work here may not read either."""
    agent = await enrol(api, approve=False)
    await _set(api, agent, "ms-a", "1")
    async with agent.linked(api) as link:
        await link.say(ConfigsHeld(digest=NO_MICROSERVICES, wanted=(_A,), optional=True))
        await _set(api, agent, "ms-b", "2")
        await link.settled()
        assert link.nothing_of(Configs)
        await api.post(f"{agent.path}/approve")
        told = await link.heard(Configs)
        assert told.known is not None
        assert [each.id for each in told.known] == [_A, _B]


async def test_configurations_travel_with_reports(api: Api) -> None:
    """A host without a link says its digest, is told names, asks for texts and is told no more."""
    agent = await enrol(api)
    await _set(api, agent, "ms-a", "1")

    async def report(held: ConfigsHeld) -> Configs | None:
        answer = await agent.report(api, identity=True, configs_held=msgspec.to_builtins(held))
        assert answer.status == 200, answer
        told = answer.json.get("configs")
        return None if told is None else msgspec.convert(told, Configs)

    told = await report(ConfigsHeld(digest=NO_MICROSERVICES))
    assert told is not None
    assert told.known is not None
    assert [each.id for each in told.known] == [_A]
    told = await report(ConfigsHeld(digest=NO_MICROSERVICES, wanted=(_A,)))
    assert told is not None
    assert [(each.id, each.config) for each in told.changed] == [(_A, "1")]
    assert await report(ConfigsHeld(digest=told.digest)) is None
    assert "configs" not in (await agent.report(api)).json


async def test_there_is_a_limit_to_their_number(api: Api) -> None:
    """The thousand-and-first is refused."""
    agent = await enrol(api)
    for first in range(0, MAX_MICROSERVICES, 50):
        await asyncio.gather(*(_set(api, agent, f"ms-{number}", "") for number in range(first, first + 50)))
    answer = await api.ask("PUT", f"{agent.path}/microservices/more/config", {"config": ""})
    assert answer.status == 409
