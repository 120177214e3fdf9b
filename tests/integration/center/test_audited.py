"""Every route that changes something leaves an entry in the audit log: who, what, when, from where."""

import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fixtures.api import Answer, Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol, enrolment
from tests.integration.center.route_table import ROUTES

_CHANGING: Final = {route for route in ROUTES if route[0] in ("POST", "PUT", "PATCH", "DELETE")}

Act = Callable[[Api], Awaitable[tuple[Answer, str]]]
"""Calls a route so that it succeeds; gives its answer and the subject of the entry that is due."""


async def _change_agent(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    return await api.ask("PATCH", agent.path, {"label": "web-1", "tags": ["web"]}), agent.id


async def _delete_agent(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    return await api.ask("DELETE", agent.path), agent.id


async def _approve(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api, approve=False)
    return await api.ask("POST", f"{agent.path}/approve"), agent.id


async def _decline(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api, approve=False)
    return await api.ask("POST", f"{agent.path}/decline"), agent.id


async def _make_key(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/enrolment-keys", {"label": "lab", "short": True})
    return answer, answer.json["id"]


async def _revoke_key(api: Api) -> tuple[Answer, str]:
    key_id = (await api.post("/api/enrolment-keys", {}))["id"]
    return await api.ask("DELETE", f"/api/enrolment-keys/{key_id}"), key_id


async def _user(api: Api) -> str:
    body = {"username": f"user-{secrets.token_hex(6)}", "role": "viewer", "password": "long enough for all"}
    user_id: str = (await api.post("/api/users", body))["id"]
    return user_id


async def _add_user(api: Api) -> tuple[Answer, str]:
    body = {"username": f"user-{secrets.token_hex(6)}", "role": "viewer"}
    answer = await api.ask("POST", "/api/users", body)
    return answer, answer.json["id"]


async def _change_user(api: Api) -> tuple[Answer, str]:
    user_id = await _user(api)
    return await api.ask("PATCH", f"/api/users/{user_id}", {"role": "operator"}), user_id


async def _remove_user(api: Api) -> tuple[Answer, str]:
    user_id = await _user(api)
    return await api.ask("DELETE", f"/api/users/{user_id}"), user_id


async def _reset_password(api: Api) -> tuple[Answer, str]:
    user_id = await _user(api)
    return await api.ask("POST", f"/api/users/{user_id}/password"), user_id


async def _remove_totp(api: Api) -> tuple[Answer, str]:
    user_id = await _user(api)
    return await api.ask("DELETE", f"/api/users/{user_id}/totp"), user_id


async def _make_token(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/tokens", {"name": "script", "user_id": await _user(api)})
    return answer, answer.json["id"]


async def _delete_token(api: Api) -> tuple[Answer, str]:
    made, token_id = await _make_token(api)
    assert made.status == 201
    return await api.ask("DELETE", f"/api/tokens/{token_id}"), token_id


async def _revoke_tokens(api: Api) -> tuple[Answer, str]:
    user_id = await _user(api)
    return await api.ask("POST", f"/api/users/{user_id}/revoke-tokens"), user_id


async def _send_command(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    answer = await api.ask("POST", f"{agent.path}/commands", {"type": "ping"})
    return answer, answer.json["command_id"]


async def _cancel_command(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    command_id = (await api.post(f"{agent.path}/commands", {"type": "ping"}))["command_id"]
    return await api.ask("POST", f"{agent.path}/commands/{command_id}/cancel"), command_id


async def _create_dispatch(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    answer = await api.ask("POST", "/api/dispatches", {"target": agent.id, "type": "ping"})
    return answer, answer.json["id"]


async def _cancel_dispatch(api: Api) -> tuple[Answer, str]:
    _, dispatch_id = await _create_dispatch(api)
    return await api.ask("POST", f"/api/dispatches/{dispatch_id}/cancel"), dispatch_id


async def _retry_dispatch(api: Api) -> tuple[Answer, str]:
    _, dispatch_id = await _cancel_dispatch(api)
    answer = await api.ask("POST", f"/api/dispatches/{dispatch_id}/retry", {})
    return answer, answer.json["id"]


_SCHEDULE: Final = {
    "name": "daily",
    "when": {"every": 86_400},
    "dispatch": {"target": "all", "type": "ping", "params": {}},
}


async def _make_schedule(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/schedules", _SCHEDULE)
    return answer, answer.json["id"]


async def _change_schedule(api: Api) -> tuple[Answer, str]:
    _, schedule_id = await _make_schedule(api)
    return await api.ask("PATCH", f"/api/schedules/{schedule_id}", {"enabled": False}), schedule_id


async def _delete_schedule(api: Api) -> tuple[Answer, str]:
    _, schedule_id = await _make_schedule(api)
    return await api.ask("DELETE", f"/api/schedules/{schedule_id}"), schedule_id


async def _fire_schedule(api: Api) -> tuple[Answer, str]:
    _, schedule_id = await _make_schedule(api)
    return await api.ask("POST", f"/api/schedules/{schedule_id}/fire"), schedule_id


async def _make_group(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/groups", {"name": f"group-{secrets.token_hex(6)}"})
    return answer, answer.json["id"]


async def _change_group(api: Api) -> tuple[Answer, str]:
    _, group_id = await _make_group(api)
    return await api.ask("PATCH", f"/api/groups/{group_id}", {"priority": 1}), group_id


async def _delete_group(api: Api) -> tuple[Answer, str]:
    _, group_id = await _make_group(api)
    return await api.ask("DELETE", f"/api/groups/{group_id}"), group_id


async def _set_members(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    _, group_id = await _make_group(api)
    return await api.ask("POST", f"/api/groups/{group_id}/members", {"add": [agent.id]}), group_id


async def _make_profile(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/profiles", {"name": f"profile-{secrets.token_hex(6)}"})
    return answer, answer.json["id"]


async def _change_profile(api: Api) -> tuple[Answer, str]:
    _, profile_id = await _make_profile(api)
    return await api.ask("PATCH", f"/api/profiles/{profile_id}", {"params": {"a": "1"}}), profile_id


async def _delete_profile(api: Api) -> tuple[Answer, str]:
    _, profile_id = await _make_profile(api)
    return await api.ask("DELETE", f"/api/profiles/{profile_id}"), profile_id


_RULE: Final = {"name": "away", "when": {"kind": "offline", "for_s": 60}, "target": "nobody-at-all"}


async def _make_rule(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/alert-rules", _RULE)
    return answer, answer.json["id"]


async def _change_rule(api: Api) -> tuple[Answer, str]:
    _, rule_id = await _make_rule(api)
    return await api.ask("PATCH", f"/api/alert-rules/{rule_id}", {"enabled": False}), rule_id


async def _delete_rule(api: Api) -> tuple[Answer, str]:
    _, rule_id = await _make_rule(api)
    return await api.ask("DELETE", f"/api/alert-rules/{rule_id}"), rule_id


async def _make_channel(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/alert-channels", {"name": "ops", "url": "json://127.0.0.1:1/x"})
    return answer, answer.json["id"]


async def _change_channel(api: Api) -> tuple[Answer, str]:
    _, channel_id = await _make_channel(api)
    return await api.ask("PATCH", f"/api/alert-channels/{channel_id}", {"name": "night"}), channel_id


async def _delete_channel(api: Api) -> tuple[Answer, str]:
    _, channel_id = await _make_channel(api)
    return await api.ask("DELETE", f"/api/alert-channels/{channel_id}"), channel_id


async def _test_channel(api: Api) -> tuple[Answer, str]:
    _, channel_id = await _make_channel(api)
    return await api.ask("POST", f"/api/alert-channels/{channel_id}/test"), channel_id


async def _make_silence(api: Api) -> tuple[Answer, str]:
    body = {"target": "nobody-at-all", "ends": time.time() + 600}
    answer = await api.ask("POST", "/api/silences", body)
    return answer, answer.json["id"]


async def _end_silence(api: Api) -> tuple[Answer, str]:
    _, silence_id = await _make_silence(api)
    return await api.ask("DELETE", f"/api/silences/{silence_id}"), silence_id


async def _add_dial(api: Api) -> tuple[Answer, str]:
    answer = await api.ask("POST", "/api/dials", {"address": f"{secrets.token_hex(6)}.invalid:3850"})
    return answer, answer.json["id"]


async def _move_dial(api: Api) -> tuple[Answer, str]:
    _, dial_id = await _add_dial(api)
    body = {"address": f"{secrets.token_hex(6)}.invalid:3850"}
    return await api.ask("PATCH", f"/api/dials/{dial_id}", body), dial_id


async def _remove_dial(api: Api) -> tuple[Answer, str]:
    _, dial_id = await _add_dial(api)
    return await api.ask("DELETE", f"/api/dials/{dial_id}"), dial_id


async def _configure(api: Api) -> tuple[Answer, str]:
    agent = await enrol(api)
    path = f"{agent.path}/microservices/ms-1/config"
    return await api.ask("PUT", path, {"config": "password=secret"}), agent.id


async def _remove_microservice(api: Api) -> tuple[Answer, str]:
    _, agent_id = await _configure(api)
    return await api.ask("DELETE", f"/api/agents/{agent_id}/microservices/ms-1"), agent_id


_ACTS: Final[dict[tuple[str, str], tuple[str, Act]]] = {
    ("PATCH", "/api/agents/{agent_id}"): ("agent.change", _change_agent),
    ("POST", "/api/dials"): ("dial.add", _add_dial),
    ("PATCH", "/api/dials/{dial_id}"): ("dial.move", _move_dial),
    ("DELETE", "/api/dials/{dial_id}"): ("dial.remove", _remove_dial),
    ("DELETE", "/api/agents/{agent_id}"): ("agent.delete", _delete_agent),
    ("POST", "/api/agents/{agent_id}/approve"): ("agent.approve", _approve),
    ("POST", "/api/agents/{agent_id}/decline"): ("agent.decline", _decline),
    ("POST", "/api/agents/{agent_id}/commands"): ("command.send", _send_command),
    ("POST", "/api/agents/{agent_id}/commands/{command_id}/cancel"): ("command.cancel", _cancel_command),
    ("PUT", "/api/agents/{agent_id}/microservices/{microservice}/config"): (
        "microservice.configure",
        _configure,
    ),
    ("DELETE", "/api/agents/{agent_id}/microservices/{microservice}"): (
        "microservice.remove",
        _remove_microservice,
    ),
    ("POST", "/api/dispatches"): ("dispatch.create", _create_dispatch),
    ("POST", "/api/dispatches/{dispatch_id}/cancel"): ("dispatch.cancel", _cancel_dispatch),
    ("POST", "/api/dispatches/{dispatch_id}/retry"): ("dispatch.create", _retry_dispatch),
    ("POST", "/api/schedules"): ("schedule.make", _make_schedule),
    ("PATCH", "/api/schedules/{schedule_id}"): ("schedule.change", _change_schedule),
    ("DELETE", "/api/schedules/{schedule_id}"): ("schedule.delete", _delete_schedule),
    ("POST", "/api/schedules/{schedule_id}/fire"): ("schedule.fire", _fire_schedule),
    ("POST", "/api/groups"): ("group.make", _make_group),
    ("PATCH", "/api/groups/{group_id}"): ("group.change", _change_group),
    ("DELETE", "/api/groups/{group_id}"): ("group.delete", _delete_group),
    ("POST", "/api/groups/{group_id}/members"): ("group.set_members", _set_members),
    ("POST", "/api/profiles"): ("profile.make", _make_profile),
    ("PATCH", "/api/profiles/{profile_id}"): ("profile.change", _change_profile),
    ("DELETE", "/api/profiles/{profile_id}"): ("profile.delete", _delete_profile),
    ("POST", "/api/alert-rules"): ("alert_rule.make", _make_rule),
    ("PATCH", "/api/alert-rules/{rule_id}"): ("alert_rule.change", _change_rule),
    ("DELETE", "/api/alert-rules/{rule_id}"): ("alert_rule.delete", _delete_rule),
    ("POST", "/api/alert-channels"): ("alert_channel.make", _make_channel),
    ("PATCH", "/api/alert-channels/{channel_id}"): ("alert_channel.change", _change_channel),
    ("DELETE", "/api/alert-channels/{channel_id}"): ("alert_channel.delete", _delete_channel),
    ("POST", "/api/alert-channels/{channel_id}/test"): ("alert_channel.test", _test_channel),
    ("POST", "/api/silences"): ("silence.make", _make_silence),
    ("DELETE", "/api/silences/{silence_id}"): ("silence.end", _end_silence),
    ("POST", "/api/enrolment-keys"): ("enrolment_key.make", _make_key),
    ("POST", "/api/users"): ("user.add", _add_user),
    ("PATCH", "/api/users/{user_id}"): ("user.change", _change_user),
    ("DELETE", "/api/users/{user_id}"): ("user.remove", _remove_user),
    ("POST", "/api/users/{user_id}/password"): ("password.reset", _reset_password),
    ("DELETE", "/api/users/{user_id}/totp"): ("totp.remove", _remove_totp),
    ("POST", "/api/users/{user_id}/revoke-tokens"): ("token.revoke_all", _revoke_tokens),
    ("POST", "/api/tokens"): ("token.make", _make_token),
    ("DELETE", "/api/tokens/{token_id}"): ("token.delete", _delete_token),
    ("DELETE", "/api/enrolment-keys/{key_id}"): ("enrolment_key.revoke", _revoke_key),
}
"""Each route with the action that is due, and how to call it."""

_ELSEWHERE: Final = {
    ("POST", "/api/alerts/acknowledge"): "it needs an alert that fires: tests of alerts",
    ("POST", "/api/agents/{agent_id}/files"): "it needs a host with a disk: tests of files",
    ("POST", "/api/agents/{agent_id}/files/folders"): "it needs a host with a disk: tests of files",
    ("POST", "/api/agents/{agent_id}/files/move"): "it needs a host with a disk: tests of files",
    ("DELETE", "/api/agents/{agent_id}/files"): "it needs a host with a disk: tests of files",
    ("POST", "/api/agents/deploy"): "it takes an SSH server: tests of deployments",
    ("DELETE", "/api/agents/host-keys/{key_id}"): "likewise",
    ("POST", "/api/deployments/{deployment_id}/cancel"): "likewise",
    ("POST", "/api/agents/enrol"): "its actor is the agent: test_a_host_that_joins_is_the_actor_itself",
    ("POST", "/api/agents/exchange-key"): "its actor is a host that is unknown yet: tests of short forms",
    ("POST", "/api/login"): "it makes the session its entry names: tests of access",
    ("POST", "/api/browser/login"): "likewise: tests of browsers' sessions",
    ("POST", "/api/browser/exchange"): "likewise",
    ("POST", "/api/logout"): "it ends the session that asks: tests of access",
    ("POST", "/api/oidc/exchange"): "it makes the session its entry names: tests of access",
    ("DELETE", "/api/sessions"): "it ends the sessions of who asks: tests of sessions",
    ("DELETE", "/api/sessions/{session_id}"): "likewise",
    ("DELETE", "/api/terminals/{terminal_id}"): "it takes a host that has one: tests of terminals",
    ("POST", "/api/password"): "it needs a password of one's own: tests of users",
    ("POST", "/api/totp"): "likewise: tests of the second factor",
    ("POST", "/api/totp/confirm"): "likewise",
    ("DELETE", "/api/totp"): "likewise",
}
"""Routes whose entries have tests of their own."""

_CHANGES_NOTHING: Final = {
    ("POST", "/api/agents/{agent_id}/report"): "what a host tells of itself and its commands is no decision",
    ("POST", "/api/targets/preview"): "it only looks",
    ("POST", "/api/groups/preview"): "likewise",
    ("POST", "/api/schedules/preview"): "likewise",
    ("POST", "/api/stream-token"): "who has it could do the same without it, and it lasts seconds",
}
"""Routes that leave no entry, and why they need none."""


@pytest.mark.parametrize("route", sorted(_CHANGING), ids="{0[0]} {0[1]}".format)
def test_every_route_was_considered(route: tuple[str, str]) -> None:
    """A new route that may change something fails here until somebody says what it writes down."""
    assert route in _ACTS or route in _ELSEWHERE or route in _CHANGES_NOTHING


@pytest.mark.parametrize(
    "route", sorted({*_ACTS, *_ELSEWHERE, *_CHANGES_NOTHING}), ids="{0[0]} {0[1]}".format
)
def test_nothing_is_considered_that_is_gone(route: tuple[str, str]) -> None:
    """The tables here name routes that exist."""
    assert route in _CHANGING


async def _entries(api: Api, query: str = "") -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await api.get(f"/api/audit?limit=1000&order=asc{query}"))["entries"]
    return entries


@pytest.mark.parametrize("route", sorted(_ACTS), ids="{0[0]} {0[1]}".format)
async def test_a_change_is_written_down(api: Api, route: tuple[str, str]) -> None:
    """The caller, by id, name and session; the action, its subject, the moment and the caller's address."""
    action, act = _ACTS[route]
    me = (await api.get("/api/session"))["user"]
    began = time.time()
    answer, subject = await act(api)
    assert answer.status in (200, 201, 204), answer
    (entry,) = await _entries(api, f"&action={action}&subject={subject}")
    actor = entry["actor"]
    assert (actor["kind"], actor["id"], actor["name"]) == ("user", me["id"], me["username"])
    assert actor["via"].startswith("ses_")
    assert actor["address"].startswith("127.")
    assert began - 1 <= entry["time"] <= time.time() + 1
    assert len(entry["hash"]) == 64


@pytest.mark.parametrize("route", sorted(_ACTS), ids="{0[0]} {0[1]}".format)
async def test_no_secret_is_written_down(api: Api, route: tuple[str, str]) -> None:
    """What an answer tells once - keys, tokens, passwords - is in no entry."""
    _, act = _ACTS[route]
    answer, subject = await act(api)
    told = answer.json if isinstance(answer.json, dict) else {}
    once = [told[name] for name in ("key", "short", "token", "password", "secret") if told.get(name)]
    (written,) = await _entries(api, f"&action={_ACTS[route][0]}&subject={subject}")
    assert not [secret for secret in once if secret in str(written)]


async def test_a_refused_change_is_not_written_down(api: Api) -> None:
    """What did not happen is no entry: a wrong id, a role too small, a body that does not fit."""
    agent = await enrol(api)
    before = await _entries(api, f"&subject={agent.id}")
    for path, role, body, status in (
        ("/api/agents/agent_00000000000000000000", "admin", {"label": "x"}, 404),
        (agent.path, "viewer", {"label": "x"}, 403),
        (agent.path, "admin", {"label": ""}, 400),
    ):
        assert (await api.ask("PATCH", path, body, role=role)).status == status
    assert await _entries(api, f"&subject={agent.id}") == before
    assert await _entries(api, "&subject=agent_00000000000000000000") == []


async def test_saying_the_same_again_is_no_change(api: Api) -> None:
    """An agent that is approved already is not approved once more in the log."""
    agent = await enrol(api, approve=False)
    for _ in range(3):
        await api.post(f"{agent.path}/approve")
    assert len(await _entries(api, f"&subject={agent.id}&action=agent.approve")) == 1


async def test_a_host_that_joins_is_the_actor_itself(api: Api) -> None:
    """It came in with an enrolment key, from an address; a repeated answer is no second entry."""
    key = await api.post("/api/enrolment-keys", {"approve": True, "label": "lab"})
    body = enrolment(key["key"])
    first = await api.post("/api/agents/enrol", body, role=None)
    await api.post("/api/agents/enrol", body, role=None)
    (entry,) = await _entries(api, f"&subject={first['agent_id']}&action=agent.enrol")
    assert entry["actor"]["kind"] == "agent"
    assert (entry["actor"]["id"], entry["actor"]["name"]) == (first["agent_id"], "lab")
    assert entry["actor"]["via"] == key["id"]
    assert entry["actor"]["address"].startswith("127.")
    assert entry["data"]["hostname"] == "host-1"
    assert key["key"].rsplit(".", 1)[-1] not in str(entry)


async def test_a_host_that_joins_again_is_written_down(api: Api) -> None:
    """With the same identity and a new agent key, it has to show an enrolment key again."""
    agent = await enrol(api)
    key = await api.post("/api/enrolment-keys", {})
    await api.post("/api/agents/enrol", enrolment(key["key"], private_key=agent.private_key), role=None)
    assert len(await _entries(api, f"&subject={agent.id}&action=agent.enrol_again")) == 1


async def test_what_is_deleted_can_still_be_told(api: Api) -> None:
    """The entry names the host: its id alone would say nothing once it is gone."""
    agent = await enrol(api, label="gone-soon")
    assert (await api.ask("DELETE", agent.path)).status == 200
    (entry,) = await _entries(api, f"&subject={agent.id}&action=agent.delete")
    assert entry["data"]["label"] == "gone-soon"
    assert entry["data"]["hostname"] == "host-1"


async def test_noise_is_not_written_down(api: Api) -> None:
    """Links, heartbeats, reports and readings of a host leave no entries."""
    agent = await enrol(api)
    before = len(await _entries(api, f"&subject={agent.id}"))
    async with agent.linked(api) as link:
        await link.settled()
    assert (await agent.report(api)).status == 200
    assert len(await _entries(api, f"&subject={agent.id}")) == before


async def test_each_start_of_the_center_is_written_down(tmp_path: Path) -> None:
    """With its release and epoch, by the center itself."""

    async def starts(own: OwnCenter) -> list[dict[str, Any]]:
        return await _entries(own.api, "&action=center.start")

    async with own_center(tmp_path) as own:
        (first,) = await starts(own)
    async with own_center(tmp_path) as own:
        again = await starts(own)
    assert again[0] == first
    assert len(again) == 2
    assert first["actor"]["kind"] == "center"
    assert set(first["data"]) == {"version", "epoch", "start"}
