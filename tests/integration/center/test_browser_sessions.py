"""Sessions of browsers: a cookie that no script sees, and that only the center's own pages may use."""

from typing import Any

import aiohttp
import pytest

from tests.fixtures.api import Answer, Api
from tests.fixtures.center import PASSWORD

ADMIN = {"username": "admin", "password": PASSWORD}


async def sign_in(api: Api, origin: str | None = "", body: Any = ADMIN) -> Answer:
    """Sign in from a page of `origin`, by default the center's own."""
    headers = {} if origin is None else {"Origin": origin or api.url}
    return await api.ask("POST", "/api/browser/login", body, role=None, headers=headers)


async def cookie_of(api: Api) -> str:
    """Sign in; return the header that the browser sends from then on."""
    answer = await sign_in(api)
    assert answer.status == 200, answer
    return answer.headers["Set-Cookie"].partition(";")[0]


async def test_the_token_is_in_the_cookie_alone(each_api: Api) -> None:
    """No script sees it, no other site sends it, and the answer does not hold it."""
    answer = await sign_in(each_api)
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    token, _, attributes = rest.partition(";")
    assert name == "outrider_session"
    assert {each.strip().lower() for each in attributes.split(";")} == {
        "httponly",
        "path=/",
        "samesite=strict",
    }
    assert set(answer.json) == {"user", "expires", "center"}
    assert token.encode() not in answer.body
    seen = await each_api.get("/api/session", role=None, headers={"Cookie": f"{name}={token}"})
    assert seen == answer.json


async def test_signing_out_ends_the_session_and_its_cookie(api: Api) -> None:
    """The session is over at the center, and the browser forgets it."""
    shown = {"Cookie": await cookie_of(api), "Origin": api.url}
    ended = await api.ask("POST", "/api/logout", role=None, headers=shown)
    assert ended.status == 200
    assert "max-age=0" in ended.headers["Set-Cookie"].lower()
    after = await api.ask("GET", "/api/session", role=None, headers=shown)
    assert (after.status, after.code) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://center@evil.example"]
)
async def test_no_other_page_changes_anything(api: Api, origin: str | None) -> None:
    """A page of another site, of another port here, or none: its requests are refused, cookie or not."""
    shown = {"Cookie": await cookie_of(api)}
    from_there = shown if origin is None else {**shown, "Origin": origin}
    refused = await api.ask("POST", "/api/enrolment-keys", {}, role=None, headers=from_there)
    assert (refused.status, refused.code) == (403, "forbidden")
    out = await api.ask("POST", "/api/logout", role=None, headers=from_there)
    assert out.status == 403
    assert (await sign_in(api, origin)).status == 403
    own = await api.ask("POST", "/api/enrolment-keys", {}, role=None, headers={**shown, "Origin": api.url})
    assert own.status == 201, own


async def test_no_other_page_reads_anything(api: Api) -> None:
    """What a browser says of who asks is believed, also where it is only a look."""
    shown = {"Cookie": await cookie_of(api)}
    for said in ({"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "same-site"}):
        answer = await api.ask("GET", "/api/agents", role=None, headers={**shown, **said})
        assert (answer.status, answer.code) == (403, "forbidden"), said
    own = await api.ask("GET", "/api/agents", role=None, headers={**shown, "Sec-Fetch-Site": "same-origin"})
    assert own.status == 200


async def test_a_bearer_counts_before_a_cookie(api: Api) -> None:
    """A program that shows a token is who the token says, whatever cookie comes along."""
    headers = {"Cookie": await cookie_of(api), **api.bearer("viewer")}
    seen = await api.get("/api/session", role=None, headers=headers)
    assert seen["user"]["role"] == "viewer"


async def test_streams_take_the_cookie(api: Api) -> None:
    """A browser follows events by its session, and its stream token stands for the same one."""
    shown = {"Cookie": await cookie_of(api), "Origin": api.url}
    async with api.session.get(f"{api.url}/api/events", headers=shown) as answer:
        assert answer.status == 200
    token = (await api.post("/api/stream-token", role=None, headers=shown))["token"]
    async with api.session.get(f"{api.url}/api/events?token={token}") as answer:
        assert answer.status == 200


async def test_a_foreign_page_opens_no_socket_with_the_cookie(api: Api) -> None:
    """Browsers open WebSockets for any page: the cookie does not help it."""
    shown = {"Cookie": await cookie_of(api), "Origin": "http://127.0.0.1:1"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await api.session.ws_connect(f"{api.url}/api/agents/agent_none/terminal", headers=shown)
    assert refused.value.status == 403


async def test_over_tls_the_cookie_is_for_this_host_alone(api: Api) -> None:
    """A page that was reached over TLS, be it through a proxy, gets a cookie that no plain page can set."""
    host = api.url.removeprefix("http://")
    answer = await sign_in(api, f"https://{host}")
    said = answer.headers["Set-Cookie"]
    assert said.startswith("__Host-outrider_session=")
    assert "secure" in said.lower()
    shown = {"Cookie": said.partition(";")[0]}
    assert (await api.ask("GET", "/api/session", role=None, headers=shown)).status == 200


async def test_a_wrong_password_sets_no_cookie(api: Api) -> None:
    """A refused sign-in leaves nothing behind."""
    answer = await sign_in(api, body={"username": "admin", "password": "wrong"})
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert "Set-Cookie" not in answer.headers
