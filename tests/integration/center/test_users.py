"""Users and sessions over the wire: who may manage whom, and what ends when."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from outrider.center.access.authentication import NOTED_EVERY
from outrider.domain.roles import Role
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Answer, Api, EventStream
from tests.fixtures.center import PASSWORD, own_center


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def sign_in(api: Api, username: str, password: str = PASSWORD) -> Answer:
    """Ask for a session."""
    return await api.ask("POST", "/api/login", {"username": username, "password": password}, role=None)


async def signed_in(api: Api, username: str, password: str = PASSWORD) -> dict[str, str]:
    """Open a session; return the header that shows it."""
    answer = await sign_in(api, username, password)
    assert answer.status == 200, answer
    return bearer(answer.json["token"])


async def add(api: Api, username: str, role: str = "operator") -> Any:
    """Add a user as the super admin."""
    body = {"username": username, "role": role, "password": PASSWORD}
    return await api.post("/api/users", body, role="super_admin")


async def me(api: Api, role: str) -> Any:
    """Return who a role's fixture user is."""
    return (await api.get("/api/session", role=role))["user"]


async def test_a_user_from_beginning_to_end(tmp_path: Path) -> None:
    """Added, shown, changed, listed, removed; the password that was made is told once and has to change."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        api = own.api
        made = await api.post("/api/users", {"username": "Alice", "role": "viewer"})
        password = made.pop("password")
        assert made["username"] == "alice"
        assert (made["must_change_password"], made["totp"], made["disabled"]) == (True, False, False)
        assert await api.get(f"/api/users/{made['id']}") == made
        assert made in await api.get("/api/users")
        session = await signed_in(api, "alice", password)
        assert (await api.get("/api/session", role=None, headers=session))["user"]["must_change_password"]
        for method, path in (("GET", "/api/agents"), ("GET", "/api/sessions"), ("POST", "/api/stream-token")):
            refused = await api.ask(method, path, role=None, headers=session)
            assert (refused.status, refused.code) == (403, "password_change_required"), path
        change = {"current": password, "new": "a better password"}
        assert await api.post("/api/password", change, role=None, headers=session) == {"status": "changed"}
        assert (await api.ask("GET", "/api/agents", role=None, headers=session)).status == 200
        changed = await api.ask("PATCH", f"/api/users/{made['id']}", {"username": "alicia"})
        assert changed.json["username"] == "alicia"
        assert (await api.ask("DELETE", f"/api/users/{made['id']}")).status == 200
        assert (await api.ask("GET", f"/api/users/{made['id']}")).code == "not_found"
        assert (await api.ask("GET", "/api/agents", role=None, headers=session)).status == 401


async def test_a_name_is_there_once(tmp_path: Path) -> None:
    """Added or changed into: 409. A name that can't be one: 400."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        alice, bob = await add(own.api, "alice"), await add(own.api, "bob")
        taken = {"username": "ALICE", "role": "viewer"}
        assert (await own.api.ask("POST", "/api/users", taken)).code == "conflict"
        assert (await own.api.ask("PATCH", f"/api/users/{bob['id']}", taken)).code == "conflict"
        same = await own.api.ask("PATCH", f"/api/users/{alice['id']}", {"username": "alice"})
        assert same.status == 200
        odd = await own.api.ask("POST", "/api/users", {"username": "a b", "role": "viewer"})
        assert (odd.status, odd.code) == (400, "invalid")


async def test_weak_passwords_are_refused(tmp_path: Path) -> None:
    """Too short, the user's name, the old one again."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        for password in ("short", "alice.alice"):
            body = {"username": "alice.alice", "role": "viewer", "password": password}
            assert (await own.api.ask("POST", "/api/users", body)).code == "password_refused"
        await add(own.api, "alice.alice")
        session = await signed_in(own.api, "alice.alice")
        for new in ("short", "Alice.Alice", PASSWORD):
            body = {"current": PASSWORD, "new": new}
            answer = await own.api.ask("POST", "/api/password", body, role=None, headers=session)
            assert (answer.status, answer.code) == (400, "password_refused"), new


async def test_nobody_acts_above_their_role(tmp_path: Path) -> None:
    """An admin neither makes, touches nor becomes a super admin."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        api = own.api
        owner, admin = await me(api, "super_admin"), await me(api, "admin")
        path = f"/api/users/{owner['id']}"
        for method, where, body in (
            ("POST", "/api/users", {"username": "x", "role": "super_admin"}),
            ("PATCH", path, {"role": "viewer"}),
            ("PATCH", path, {"disabled": True}),
            ("PATCH", path, {"username": "x"}),
            ("DELETE", path, None),
            ("POST", f"{path}/password", None),
            ("DELETE", f"{path}/totp", None),
            ("POST", f"{path}/revoke-tokens", None),
            ("PATCH", f"/api/users/{admin['id']}", {"role": "super_admin"}),
            ("GET", f"/api/sessions?user={owner['id']}", None),
            ("GET", f"/api/tokens?user={owner['id']}", None),
            ("POST", "/api/tokens", {"name": "x", "user_id": owner["id"]}),
        ):
            answer = await api.ask(method, where, body)
            assert (answer.status, answer.code) == (403, "forbidden"), (method, where)


async def test_the_last_super_admin_stays(tmp_path: Path) -> None:
    """Not removed, disabled or demoted, also not by two who do it to each other at once."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        api = own.api
        owner = await me(api, "super_admin")
        path = f"/api/users/{owner['id']}"
        for method, body in (("PATCH", {"role": "admin"}), ("PATCH", {"disabled": True}), ("DELETE", None)):
            answer = await api.ask(method, path, body, role="super_admin")
            assert (answer.status, answer.code) == (409, "conflict"), (method, body)
        other = await add(api, "other", Role.SUPER_ADMIN.value)
        session = await signed_in(api, "other")
        answers = await asyncio.gather(
            api.ask("DELETE", path, role=None, headers=session),
            api.ask("DELETE", f"/api/users/{other['id']}", role="super_admin"),
        )
        assert min(answer.status for answer in answers) == 200
        assert max(answer.status for answer in answers) in (401, 403, 404, 409)


async def test_a_change_ends_sessions_and_tokens(tmp_path: Path) -> None:
    """Another role, disabled, a reset: what was handed out before is dead at once."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        api = own.api
        user = await add(api, "alice")
        path = f"/api/users/{user['id']}"
        for method, where, body in (
            ("PATCH", path, {"role": "viewer"}),
            ("PATCH", path, {"disabled": True}),
            ("POST", f"{path}/password", None),
        ):
            await api.ask("PATCH", path, {"disabled": False})
            session = await signed_in(api, "alice")
            made = await api.post("/api/tokens", {"name": "script", "user_id": user["id"]})
            for shown in (session, bearer(made["token"])):
                assert (await api.ask("GET", "/api/session", role=None, headers=shown)).status == 200
            assert (await api.ask(method, where, body)).status == 200
            for shown in (session, bearer(made["token"])):
                assert (await api.ask("GET", "/api/session", role=None, headers=shown)).status == 401, body
        assert await api.get(f"/api/tokens?user={user['id']}") == []


async def test_a_change_of_nothing_ends_nothing(tmp_path: Path) -> None:
    """The role that is there already, said again."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        user = await add(own.api, "alice")
        session = await signed_in(own.api, "alice")
        said = {"role": "operator", "disabled": False}
        assert (await own.api.ask("PATCH", f"/api/users/{user['id']}", said)).status == 200
        assert (await own.api.ask("GET", "/api/session", role=None, headers=session)).status == 200


async def test_ones_own_password(tmp_path: Path) -> None:
    """The current one is needed; the session that asks goes on, the others end; wrong ones are throttled."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        api = own.api
        await add(api, "alice")
        mine, other = await signed_in(api, "alice"), await signed_in(api, "alice")
        change = {"current": PASSWORD, "new": "a better password"}
        wrong = await api.ask("POST", "/api/password", {**change, "current": "x"}, role=None, headers=mine)
        assert (wrong.status, wrong.code) == (403, "wrong_password")
        await api.post("/api/password", change, role=None, headers=mine)
        assert (await api.ask("GET", "/api/session", role=None, headers=mine)).status == 200
        assert (await api.ask("GET", "/api/session", role=None, headers=other)).status == 401
        assert (await sign_in(api, "alice")).status == 401
        assert (await sign_in(api, "alice", "a better password")).status == 200
        answers = [
            await api.ask("POST", "/api/password", {**change, "current": "x" * 1024}, role=None, headers=mine)
            for _ in range(11)
        ]
        assert [answer.status for answer in answers] == [403] * 10 + [429]


async def test_a_reset_is_for_others(tmp_path: Path) -> None:
    """One's own password is changed with the current one; a stolen session can't reset it."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        admin = await me(own.api, "admin")
        for method, path in (("POST", "password"), ("DELETE", "totp")):
            answer = await own.api.ask(method, f"/api/users/{admin['id']}/{path}")
            assert (answer.status, answer.code) == (409, "conflict")


async def test_sessions_are_listed_and_ended(tmp_path: Path) -> None:
    """One's own; the current one is marked; use is noted within a minute; others' are nobody's business."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        api = own.api
        alice = await add(api, "alice")
        mine, other = await signed_in(api, "alice"), await signed_in(api, "alice")
        await clock.advance(10.0)
        listed = await api.get("/api/sessions", role=None, headers=mine)
        assert [each["current"] for each in listed].count(True) == 1
        (current,) = [each for each in listed if each["current"]]
        (second,) = [each for each in listed if not each["current"]]
        assert set(current) == {
            *("id", "user_id", "username", "created", "last_used", "expires", "address", "client", "current")
        }
        assert current["address"].startswith("127.")
        assert "Python" in current["client"]
        await clock.advance(NOTED_EVERY)
        (noted,) = [
            each for each in await api.get("/api/sessions", role=None, headers=mine) if each["current"]
        ]
        assert noted["last_used"] == current["created"] + 10.0
        hidden = await api.ask("DELETE", f"/api/sessions/{current['id']}", role="viewer")
        assert (hidden.status, hidden.code) == (404, "not_found")
        assert (await api.ask("GET", f"/api/sessions?user={alice['id']}", role="viewer")).status == 403
        assert len(await api.get(f"/api/sessions?user={alice['id']}")) == 2
        ended = await api.ask("DELETE", f"/api/sessions/{second['id']}", role=None, headers=mine)
        assert ended.status == 200
        assert (await api.ask("GET", "/api/session", role=None, headers=other)).status == 401
        await signed_in(api, "alice")
        assert (await api.ask("DELETE", "/api/sessions", role=None, headers=mine)).json == {"ended": 1}
        assert (await api.ask("DELETE", f"/api/sessions/{current['id']}")).status == 200
        assert (await api.ask("GET", "/api/session", role=None, headers=mine)).status == 401


async def test_an_ended_session_is_told_to_who_may_list_it(tmp_path: Path) -> None:
    """Its user and admins hear of it, live and from any position on; to others the log has no such event."""
    async with own_center(tmp_path) as own, AsyncExitStack() as stack:
        api = own.api
        alice = await add(api, "alice", "viewer")
        await signed_in(api, "alice")
        readers = {role.value: api.bearer(role) for role in Role} | {"alice": await signed_in(api, "alice")}

        async def follow(reader: str, path: str) -> EventStream:
            asked = api.session.get(api.url + path, headers=readers[reader])
            return EventStream(await stack.enter_async_context(asked))

        live = {reader: await follow(reader, "/api/events") for reader in readers}
        ended = await api.ask("DELETE", "/api/sessions", role=None, headers=readers["alice"])
        assert ended.json == {"ended": 1}
        await api.post("/api/groups", {"name": "last", "rule": "SITE=x"})
        for reader, stream in live.items():
            resumed = await follow(reader, "/api/events?after=0")
            for events in (await stream.until("group.made"), await resumed.until("group.made")):
                told = [json.loads(each.data)["subject"] for each in events if each.event == "session.ended"]
                assert told == ([] if reader in {"viewer", "operator"} else [alice["id"]]), reader


async def test_a_password_that_changes_meanwhile_opens_no_session(tmp_path: Path) -> None:
    """A sign-in that checked the old password while it was reset finds another stamp, and is refused."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        user = await add(own.api, "alice")
        answers = await asyncio.gather(
            sign_in(own.api, "alice"), own.api.ask("POST", f"/api/users/{user['id']}/password")
        )
        assert answers[1].status == 200
        if answers[0].status == 200:
            shown = bearer(answers[0].json["token"])
            after = await own.api.ask("GET", "/api/session", role=None, headers=shown)
            assert after.status == 401
