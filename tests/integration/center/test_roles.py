"""Who may call what: one table of all routes, held against the running center for every kind of caller."""

from pathlib import Path
from typing import Final

import pytest
from litestar.routes import HTTPRoute

from outrider.domain.roles import Role
from tests.fixtures.api import Api
from tests.fixtures.center import DEAD_API_TOKENS, DISABLED, EXPIRED, own_center
from tests.fixtures.links import enrol
from tests.integration.center.route_table import ROUTES

_AGENT_ID: Final = "agent_00000000000000000000"
_COMMAND: Final = "cmd_00000000000000000000"

_ENDS_THE_SESSION: Final = ("POST", "/api/logout")
_ENDS_ALL_OTHERS: Final = ("DELETE", "/api/sessions")
"""Asked with an API token, it would end the sessions that other tests use."""
_GUARDED: Final = [
    (method, path, role)
    for (method, path), role in ROUTES.items()
    if isinstance(role, Role) and (method, path) != _ENDS_THE_SESSION
]


class _Named(dict[str, str]):
    """Ids that exist nowhere, for whatever a path names."""

    def __missing__(self, key: str) -> str:
        """Make one up."""
        return "nothing"


def _filled(path: str) -> str:
    return path.format_map(_Named({"agent_id": _AGENT_ID, "command_id": _COMMAND}))


async def _status(api: Api, method: str, path: str, headers: dict[str, str]) -> int:
    """Ask and look at the head of the answer only: some answers never end."""
    body = b"{}" if method in ("POST", "PATCH") else None
    sent = {"Content-Type": "application/json", **headers}
    async with api.session.request(method, api.url + _filled(path), data=body, headers=sent) as response:
        return response.status


async def test_the_table_has_every_route(tmp_path: Path) -> None:
    """A route that is not in this table fails here: nobody adds one without saying who may call it."""
    async with own_center(tmp_path) as own:
        found = {
            (method, route.path_format)
            for route in own.center.routes.routes
            if isinstance(route, HTTPRoute)
            for method in route.route_handler_map
            if method != "OPTIONS"
        }
    assert found == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in _GUARDED])
async def test_a_guarded_route_wants_a_session(api: Api, method: str, path: str) -> None:
    """Without a token, with one nobody has, that has expired or was revoked, of an agent: 401."""
    agent = await enrol(api)
    one_use = (await api.post("/api/stream-token", role="super_admin"))["token"]
    callers = {
        "nobody": {},
        "a broken token": {"Authorization": "Bearer x"},
        "a token of no scheme": {"Authorization": "token-of-admin"},
        "an empty token": {"Authorization": "Bearer "},
        "an expired session": api.bearer(EXPIRED),
        "a disabled user": api.bearer(DISABLED),
        "a stream's token": {"Authorization": f"Bearer {one_use}"},
        **{name: api.bearer(name) for name in DEAD_API_TOKENS},
        "an agent": {"X-Agent-Key": agent.key, "X-Agent-Id": agent.id},
        "an agent's key as a token": {"Authorization": f"Bearer {agent.key}"},
    }
    found = {caller: await _status(api, method, path, headers) for caller, headers in callers.items()}
    assert found == dict.fromkeys(callers, 401)


@pytest.mark.parametrize(("method", "path", "least"), _GUARDED)
async def test_a_guarded_route_wants_a_role(api: Api, method: str, path: str, least: Role) -> None:
    """Roles below the least one get 403; the others get through to the route itself."""
    for role in Role:
        status = await _status(api, method, path, api.bearer(role.value))
        if role.covers(least):
            assert status not in (401, 403), role
            assert status < 500, role
        else:
            assert status == 403, role


@pytest.mark.parametrize(
    ("method", "path", "least"), [each for each in _GUARDED if each[:2] != _ENDS_ALL_OTHERS]
)
async def test_an_api_token_has_its_users_role(api: Api, method: str, path: str, least: Role) -> None:
    """It gets through where its user would, and nowhere else."""
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        status = await _status(api, method, path, api.bearer(f"api_{role.value}"))
        if role.covers(least):
            assert status not in (401, 403), role
            assert status < 500, role
        else:
            assert status == 403, role


@pytest.mark.parametrize(
    ("method", "path"), [route for route, access in ROUTES.items() if not isinstance(access, Role)]
)
async def test_an_open_route_has_its_own_rules(api: Api, method: str, path: str) -> None:
    """A session is neither needed nor a reason to be turned away; where a key is needed, it is 401."""
    without = await _status(api, method, path, {})
    # An administrator's token is one of the keys there: who shows a lesser one is told so.
    by_role = {("GET", "/api/agents/bundle/{digest}"): 403}
    assert await _status(api, method, path, api.bearer("viewer")) == by_role.get((method, path), without)
    expected = {
        ("POST", "/api/login"): 400,
        ("POST", "/api/browser/login"): 400,
        ("POST", "/api/browser/exchange"): 400,
        ("GET", "/api/oidc/{name}/login"): 404,
        ("GET", "/api/oidc/{name}/callback"): 404,
        ("POST", "/api/oidc/exchange"): 400,
        ("POST", "/api/agents/enrol"): 400,
        ("POST", "/api/agents/exchange-key"): 400,
        ("GET", "/api/agents/bundle/offer"): 400,
        ("GET", "/api/agents/bundle/{digest}"): 401,
        ("GET", "/api/agents/install-script"): 401,
        ("POST", "/api/agents/{agent_id}/report"): 401,
        ("GET", "/api/ca"): 404,
        ("GET", "/schema/{path}"): 404,
    }
    assert without == expected.get((method, path), 200)


async def test_a_problem_says_what_is_missing(api: Api) -> None:
    """401 names the scheme and how to sign in, 403 the role that is needed."""
    nobody = await api.ask("GET", "/api/agents", role=None)
    assert (nobody.status, nobody.code) == (401, "unauthenticated")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert "/api/login" in nobody.json["detail"]
    viewer = await api.ask("POST", "/api/enrolment-keys", {}, role="viewer")
    assert (viewer.status, viewer.code) == (403, "forbidden")
    assert "admin" in viewer.json["detail"]


async def test_only_streams_take_the_token_in_the_address(api: Api) -> None:
    """`?token=` works where a browser can't set headers, and nowhere else: addresses end up in logs."""
    token = api.bearer("viewer")["Authorization"].removeprefix("Bearer ")
    assert await _status(api, "GET", f"/api/events?token={token}", {}) == 200
    assert await _status(api, "GET", "/api/events?token=x", {}) == 401
    assert await _status(api, "GET", f"/api/agents?token={token}", {}) == 401


async def test_options_and_head_are_answered(api: Api) -> None:
    """Methods that no route has are refused politely, whoever asks."""
    for method in ("OPTIONS", "HEAD", "PUT", "TRACE"):
        answer = await api.ask(method, "/api/agents", role=None)
        assert answer.status in (204, 405), method


async def test_an_agent_is_only_itself(api: Api) -> None:
    """An agent's key opens neither another agent's report nor another agent's link."""
    one, other = await enrol(api), await enrol(api)
    headers = {"X-Agent-Key": one.key}
    answer = await api.ask("POST", f"{other.path}/report", {}, role=None, headers=headers)
    assert (answer.status, answer.code) == (403, "forbidden")
    missing = await api.ask("POST", f"{other.path}/report", {}, role=None)
    assert (missing.status, missing.code) == (401, "unauthenticated")
    gone = await api.ask("POST", f"/api/agents/{_AGENT_ID}/report", {}, role=None, headers=headers)
    assert (gone.status, gone.code) == (404, "not_found")
    user = await api.ask("POST", f"{other.path}/report", {}, role="super_admin")
    assert user.status == 401
