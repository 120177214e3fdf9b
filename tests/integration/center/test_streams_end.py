"""Streams that are open end with what let their reader in: session, API token, role and user."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from outrider.center.http.event_streams import CONFIRMED_EVERY
from outrider.domain.roles import Role
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import OwnCenter, own_center

Ending = Callable[[Api, str], Awaitable[Any]]


async def _user_of(api: Api, role: str) -> str:
    users = await api.get("/api/users")
    return str(next(user["id"] for user in users if user["username"] == f"the_{role}"))


async def _end_session(api: Api, user_id: str) -> None:
    for session in await api.get(f"/api/sessions?user={user_id}"):
        await api.ask("DELETE", f"/api/sessions/{session['id']}")


ENDINGS: dict[str, Ending] = {
    "the session is ended": _end_session,
    "they sign out": lambda api, _: api.post("/api/logout", role="operator"),
    "the user is disabled": lambda api, id_: api.ask("PATCH", f"/api/users/{id_}", {"disabled": True}),
    "the role is lowered": lambda api, id_: api.ask("PATCH", f"/api/users/{id_}", {"role": "viewer"}),
    "the user is removed": lambda api, id_: api.ask("DELETE", f"/api/users/{id_}"),
}


async def _check_that_it_ends(own: OwnCenter, clock: TurnedClock, role: str, end: Ending) -> None:
    user_id = await _user_of(own.api, Role.OPERATOR.value)
    async with (
        own.api.events("/api/events", role=role) as events,
        own.api.events("/api/events", role="viewer") as others,
    ):
        await clock.advance(3 * CONFIRMED_EVERY)
        await end(own.api, user_id)
        await clock.advance(CONFIRMED_EVERY)
        await events.rest()
        await own.api.post("/api/groups", {"name": "news"})
        await others.until("group.made")


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_stream_ends_with_its_session(tmp_path: Path, ending: str) -> None:
    """Within seconds; those of others go on."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        await _check_that_it_ends(own, clock, "operator", ENDINGS[ending])


async def _delete_tokens(api: Api, user_id: str) -> None:
    for token in await api.get(f"/api/tokens?user={user_id}"):
        await api.ask("DELETE", f"/api/tokens/{token['id']}")


@pytest.mark.parametrize(
    "end",
    [_delete_tokens, lambda api, id_: api.post(f"/api/users/{id_}/revoke-tokens")],
    ids=["deleted", "revoked"],
)
async def test_a_stream_ends_with_its_api_token(tmp_path: Path, end: Ending) -> None:
    """However the token ended."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        await _check_that_it_ends(own, clock, "api_operator", end)


async def test_a_stream_ends_when_its_session_expires(tmp_path: Path) -> None:
    """Nobody has to do anything."""
    clock = TurnedClock()
    async with (
        own_center(tmp_path, clock=clock) as own,
        own.api.events("/api/events", role="viewer") as events,
    ):
        clock.set_time(clock.time() + 86_400.0)
        await clock.advance(CONFIRMED_EVERY)
        await events.rest()
