"""API tokens and streams' one-use tokens over the wire."""

import asyncio
from pathlib import Path
from typing import Any

import jwt
import pytest

from outrider.center.access.signing import Signing
from outrider.center.security.sealing import SealBroken, Sealer, load_master_key
from outrider.domain.errors import Unauthenticated
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import PASSWORD, own_center


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def status(api: Api, token: str, path: str = "/api/session") -> int:
    """Ask with a token in the header."""
    return (await api.ask("GET", path, role=None, headers=bearer(token))).status


async def stream_status(api: Api, token: str, path: str = "/api/events") -> int:
    """Ask with a token in the address; look at the head only."""
    async with api.session.get(f"{api.url}{path}?token={token}") as response:
        return response.status


async def add(api: Api, username: str, role: str = "operator") -> Any:
    """Add a user as the super admin."""
    body = {"username": username, "role": role, "password": PASSWORD}
    return await api.post("/api/users", body, role="super_admin")


async def test_a_token_from_beginning_to_end(each_api: Api) -> None:
    """Made, told once, used, listed, deleted; its claims are the contract's."""
    api = each_api
    user = (await api.get("/api/session", role="operator"))["user"]
    made = await api.post("/api/tokens", {"name": "script", "user_id": user["id"], "expires": 4_000_000_000})
    token = made.pop("token")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) >= {"nameidentifier", "Stamp", "nbf", "exp", "iss", "aud"}
    assert (claims["nameidentifier"], claims["exp"]) == (user["id"], 4_000_000_000)
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    seen = await api.get("/api/session", role=None, headers=bearer(token))
    assert (seen["user"]["id"], seen["expires"]) == (user["id"], 4_000_000_000)
    (listed,) = [each for each in await api.get("/api/tokens", role="operator") if each["id"] == made["id"]]
    assert (listed["name"], listed["username"]) == ("script", user["username"])
    assert "token" not in listed
    assert made["id"] in {each["id"] for each in await api.get(f"/api/tokens?user={user['id']}")}
    assert (await api.ask("GET", f"/api/tokens?user={user['id']}", role="viewer")).status == 403
    assert (await api.ask("DELETE", f"/api/tokens/{made['id']}", role="viewer")).status == 404
    assert (await api.ask("DELETE", f"/api/tokens/{made['id']}", role="operator")).status == 200
    assert await status(api, token) == 401
    assert (await api.ask("DELETE", f"/api/tokens/{made['id']}")).status == 404


async def test_no_token_for_a_super_admin(api: Api) -> None:
    """Seed 001: not for themselves, and not for another."""
    answer = await api.ask("POST", "/api/tokens", {"name": "x"}, role="super_admin")
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_promotion_ends_tokens(tmp_path: Path) -> None:
    """Who becomes super admin has no API token any more."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        user = await add(own.api, "alice", "admin")
        token = (await own.api.post("/api/tokens", {"name": "x", "user_id": user["id"]}))["token"]
        assert await status(own.api, token) == 200
        body = {"role": "super_admin"}
        await own.api.ask("PATCH", f"/api/users/{user['id']}", body, role="super_admin")
        assert await status(own.api, token) == 401


async def test_all_tokens_of_a_user_end_at_once(tmp_path: Path) -> None:
    """A new stamp; the user's sessions go on."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        api = own.api
        user = await add(api, "alice")
        login = {"username": "alice", "password": PASSWORD}
        session = (await api.post("/api/login", login, role=None))["token"]
        tokens = [
            (await api.post("/api/tokens", {"name": "x", "user_id": user["id"]}))["token"] for _ in range(2)
        ]
        assert [await status(api, token) for token in tokens] == [200, 200]
        assert await api.post(f"/api/users/{user['id']}/revoke-tokens") == {"ended": 2}
        assert [await status(api, token) for token in (*tokens, session)] == [401, 401, 200]


async def test_a_token_ends_in_time(tmp_path: Path) -> None:
    """At `expires`; ten years on without one; an end in the past is refused."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        api, now = own.api, int(clock.time())
        for wrong in (0, now - 1, now):
            answer = await api.ask("POST", "/api/tokens", {"name": "x", "expires": wrong})
            assert (answer.status, answer.code) == (400, "invalid"), wrong
        soon = (await api.post("/api/tokens", {"name": "x", "expires": now + 60}))["token"]
        late = await api.post("/api/tokens", {"name": "x"})
        assert late["expires"] == now + 3653 * 86_400
        assert await status(api, soon) == 200
        clock.set_time(now + 60)
        assert await status(api, soon) == 401
        assert await status(api, late["token"]) == 200


async def test_a_token_has_no_session_to_end(api: Api) -> None:
    """Logging out with an API token is a mistake that is said."""
    answer = await api.ask("POST", "/api/logout", role="api_viewer")
    assert (answer.status, answer.code) == (400, "invalid")


async def test_what_a_token_does_names_it(tmp_path: Path) -> None:
    """The audit log tells a script's change from a session's."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        made = await own.api.post("/api/tokens", {"name": "x"})
        user = await own.api.post(
            "/api/users", {"username": "a", "role": "viewer"}, role=None, headers=bearer(made["token"])
        )
        found = await own.api.get(f"/api/audit?subject={user['id']}")
        assert found["entries"][0]["actor"]["via"] == made["id"]


async def test_the_secret_is_made_once_and_sealed(tmp_path: Path) -> None:
    """A restarted center takes its tokens; under another master key it says what is wrong."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        token = (await own.api.post("/api/tokens", {"name": "x"}))["token"]
    async with own_center(tmp_path, clock=clock) as own:
        assert await status(own.api, token) == 200
        store = own.center.store
        signing = Signing(store, Sealer(load_master_key(tmp_path, None)))
        await signing.load()
        assert signing.read(token, now=clock.time()).jti.startswith("tok_")
        with pytest.raises(Unauthenticated):
            signing.read(token + "x", now=clock.time())
        with pytest.raises(Unauthenticated):
            signing.read("a.b." + "c" * 4000, now=clock.time())
        other = tmp_path / "other"
        other.mkdir()
        with pytest.raises(SealBroken, match="master key"):
            await Signing(store, Sealer(load_master_key(other, None))).load()


async def test_a_stream_token_opens_one_stream(api: Api) -> None:
    """Once, in the address of a stream; not in a header, and nowhere else."""
    made = await api.post("/api/stream-token", role="viewer")
    assert set(made) == {"token", "expires"}
    assert await status(api, made["token"]) == 401
    assert await stream_status(api, made["token"], "/api/agents") == 401
    assert await stream_status(api, made["token"]) == 200
    assert await stream_status(api, made["token"]) == 401
    assert await stream_status(api, "stream_made-up") == 401


async def test_a_stream_token_for_one_stream_opens_no_other(api: Api) -> None:
    """With a path it is for the stream there; elsewhere it is used up in vain."""
    made = [
        (await api.post("/api/stream-token", {"path": "/api/events"}, role="viewer"))["token"]
        for _ in range(2)
    ]
    elsewhere = "/api/agents/agent_0123456789abcdefghjk/commands/cmd_0123456789abcdefghjk/stream"
    assert await stream_status(api, made[0], elsewhere) == 401
    assert await stream_status(api, made[0]) == 401
    assert await stream_status(api, made[1]) == 200
    assert (await api.ask("POST", "/api/stream-token", {"path": "events"})).code == "invalid"


async def test_exactly_one_of_many_wins(api: Api) -> None:
    """Twenty uses at the same time open one stream."""
    token = (await api.post("/api/stream-token", role="viewer"))["token"]
    statuses = await asyncio.gather(*(stream_status(api, token) for _ in range(20)))
    assert sorted(statuses) == [200] + [401] * 19


async def test_a_stream_token_ends_with_its_maker(tmp_path: Path) -> None:
    """After thirty seconds, and with the session or API token it was made for."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        api = own.api
        token = (await api.post("/api/stream-token", role="viewer"))["token"]
        await clock.advance(30.0)
        assert await stream_status(api, token) == 401
        user = await add(api, "alice")
        made = await api.post("/api/tokens", {"name": "x", "user_id": user["id"]})
        one, two = [
            (await api.post("/api/stream-token", role=None, headers=bearer(made["token"])))["token"]
            for _ in range(2)
        ]
        assert await stream_status(api, one) == 200
        await api.ask("DELETE", f"/api/tokens/{made['id']}")
        assert await stream_status(api, two) == 401


async def test_an_api_token_does_not_go_into_an_address(api: Api) -> None:
    """Addresses end up in logs, and it would work for years."""
    token = api.bearer("api_viewer")["Authorization"].removeprefix("Bearer ")
    assert await stream_status(api, token) == 401
