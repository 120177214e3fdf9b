"""Signing in with a provider: a real one, as a process, honest and not."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from outrider.center.settings import OidcSettings
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Answer, Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, oidc_provider

PROGRAM: Final = "http://127.0.0.1:5555/done"


@pytest.fixture(scope="module")
def running_provider() -> Iterator[Provider]:
    """Give a provider that lives as long as the module."""
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
def provider(running_provider: Provider) -> Provider:
    """Give the provider, honest again."""
    running_provider.set()
    return running_provider


@asynccontextmanager
async def center_with(
    home: Path, provider: Provider, *, clock: TurnedClock | None = None, **settings: Any
) -> AsyncIterator[OwnCenter]:
    """Run a center that knows the provider."""
    oidc = OidcSettings(
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        label="The house",
        **settings,
    )
    async with own_center(home, clock=clock, oidc=oidc) as own:
        yield own


class Browser:
    """A browser with cookies, that follows no redirect by itself."""

    def __init__(self, api: Api) -> None:
        """Look at one center."""
        self._api = api
        self.cookie = ""

    async def go(self, address: str, *, accept: str = "*/*") -> Answer:
        """Ask for an address of the center or the provider."""
        url = address if address.startswith("http") else self._api.url + address
        headers = {"Accept": accept} | ({"Cookie": self.cookie} if self.cookie else {})
        async with self._api.session.get(url, headers=headers, allow_redirects=False) as response:
            if "Set-Cookie" in response.headers:
                self.cookie = response.headers["Set-Cookie"].split(";")[0]
            return Answer(response.status, response.headers, await response.read())

    async def leave(self, redirect: str = "/") -> str:
        """Begin; return the provider's address that the center sends the browser to."""
        answer = await self.go(f"/api/oidc/sso/login?redirect={redirect}")
        assert answer.status == 302, answer
        return answer.headers["Location"]

    async def come_back(self, redirect: str = "/") -> str:
        """Begin and say yes at the provider; return the callback's address."""
        answer = await self.go(await self.leave(redirect))
        assert answer.status == 302, answer
        return answer.headers["Location"]

    async def arrive(self, redirect: str = "/") -> Answer:
        """Go all the way to the center's answer to the callback."""
        return await self.go(await self.come_back(redirect))


def code_in(answer: Answer) -> str:
    """Return the one-use code that the browser is sent on with."""
    assert answer.status == 302, answer
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


async def exchange(api: Api, code: str) -> Answer:
    """Open the session that a code stands for."""
    return await api.ask("POST", "/api/oidc/exchange", {"code": code}, role=None)


async def test_a_person_signs_in(tmp_path: Path, provider: Provider) -> None:
    """There and back: a new user of the default role, a session that works, a code that works once."""
    async with center_with(tmp_path, provider) as own:
        assert await own.api.get("/api/oidc", role=None) == [{"name": "sso", "label": "The house"}]
        browser = Browser(own.api)
        departure = parse_qs(urlsplit(await browser.leave()).query)
        assert departure["response_type"] == ["code"]
        assert departure["code_challenge_method"] == ["S256"]
        assert departure["scope"] == ["openid profile email"]
        arrived = await browser.arrive("/welcome?x=1")
        assert arrived.headers["Location"].startswith("/welcome?x=1&code=")
        code = code_in(arrived)
        opened = await exchange(own.api, code)
        assert opened.status == 200
        assert (opened.json["user"]["username"], opened.json["user"]["role"]) == ("paula", "viewer")
        bearer = {"Authorization": f"Bearer {opened.json['token']}"}
        assert (await own.api.get("/api/session", role=None, headers=bearer))["user"] == opened.json["user"]
        again = await exchange(own.api, code)
        assert (again.status, again.code) == (401, "unauthenticated")


async def test_the_same_person_is_the_same_user(tmp_path: Path, provider: Provider) -> None:
    """One user for each subject, whatever they are called meanwhile; without a mapping the role stays."""
    async with center_with(tmp_path, provider) as own:
        first = (await exchange(own.api, code_in(await Browser(own.api).arrive()))).json["user"]
        await own.api.ask("PATCH", f"/api/users/{first['id']}", {"role": "operator"}, role="super_admin")
        provider.set(claims={"preferred_username": "paula.new"})
        second = (await exchange(own.api, code_in(await Browser(own.api).arrive()))).json["user"]
        provider.set(claims={"sub": "subject-2", "preferred_username": "quentin"})
        other = (await exchange(own.api, code_in(await Browser(own.api).arrive()))).json["user"]
    assert (second["id"], second["username"], second["role"]) == (first["id"], "paula", "operator")
    assert other["id"] != first["id"]


async def test_a_local_user_is_never_taken_over(tmp_path: Path, provider: Provider) -> None:
    """A provider's person with a local user's name or e-mail address does not become that user."""
    async with center_with(tmp_path, provider) as own:
        provider.set(claims={"preferred_username": "Admin", "email": "admin", "email_verified": True})
        answer = await Browser(own.api).arrive()
        assert (answer.status, answer.code) == (409, "conflict")


async def test_groups_give_roles(tmp_path: Path, provider: Provider) -> None:
    """With a mapping the highest mapped group counts, at each sign-in; a lost group ends older sessions."""
    settings: dict[str, Any] = {
        "role_mapping": ["staff=operator", "chiefs=admin"],
        "role_claim": "realm.groups",
        "default_role": "",
    }
    async with center_with(tmp_path, provider, **settings) as own:
        provider.set(claims={"realm": {"groups": ["staff", "chiefs", "others"]}})
        chief = (await exchange(own.api, code_in(await Browser(own.api).arrive()))).json
        assert chief["user"]["role"] == "admin"
        provider.set(claims={"realm": {"groups": ["staff"]}})
        staff = (await exchange(own.api, code_in(await Browser(own.api).arrive()))).json
        assert staff["user"]["role"] == "operator"
        bearer = {"Authorization": f"Bearer {chief['token']}"}
        assert (await own.api.ask("GET", "/api/session", role=None, headers=bearer)).status == 401
        provider.set(claims={"realm": {"groups": []}})
        nothing = await Browser(own.api).arrive()
        assert (nothing.status, nothing.code) == (403, "forbidden")


async def test_only_verified_addresses_of_the_domains(tmp_path: Path, provider: Provider) -> None:
    """`allowed_domains` wants an e-mail address that the provider has verified."""
    async with center_with(tmp_path, provider, allowed_domains=["house.example"]) as own:
        for claims in (
            {},
            {"email": "p@house.example"},
            {"email": "p@house.example", "email_verified": "true"},
            {"email": "p@house.example.evil", "email_verified": True},
        ):
            provider.set(claims=claims)
            answer = await Browser(own.api).arrive()
            assert (answer.status, answer.code) == (403, "forbidden"), claims
        provider.set(claims={"email": "p@House.example", "email_verified": True})
        assert (await Browser(own.api).arrive()).status == 302


@pytest.mark.parametrize(
    "said",
    [
        {"claims": {"nonce": "another"}},
        {"claims": {"nonce": None}},
        {"claims": {"aud": "another-client"}},
        {"claims": {"aud": [CLIENT_ID, "another-client"]}},
        {"claims": {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}},
        {"claims": {"azp": "another-client"}},
        {"claims": {"iss": "http://127.0.0.1:1"}},
        {"times": {"exp": -60}},
        {"times": {"iat": 3600}},
        {"times": {"nbf": 3600}},
        {"claims": {"exp": "soon"}},
        {"claims": {"sub": ""}},
        {"claims": {"sub": 7}},
        {"fault": "alg_none"},
        {"fault": "hs256"},
        {"fault": "foreign_key"},
        {"fault": "unknown_kid"},
        {"fault": "garbage"},
        {"deny": True},
        {"iss": "http://127.0.0.1:1"},
    ],
    ids=str,
)
async def test_what_does_not_hold_is_refused(
    tmp_path: Path, provider: Provider, said: dict[str, Any]
) -> None:
    """No claim that is wrong, and no signature that is not the provider's, lets anybody in."""
    async with center_with(tmp_path, provider) as own:
        provider.set(**said)
        answer = await Browser(own.api).arrive()
        assert (answer.status, answer.code) == (401, "provider_refused")
        users = await own.api.get("/api/users", role="super_admin")
        assert "paula" not in {user["username"] for user in users}


async def test_a_state_works_once_and_only_here(tmp_path: Path, provider: Provider) -> None:
    """A callback that is sent again, made up, or shown by another browser is refused; a person reads why."""
    async with center_with(tmp_path, provider) as own:
        browser = Browser(own.api)
        callback = await browser.come_back()
        assert (await browser.go(callback)).status == 302
        replayed = await browser.go(callback)
        assert (replayed.status, replayed.code) == (400, "invalid")
        assert (await browser.go("/api/oidc/sso/callback?code=x&state=made-up")).status == 400
        stolen = await browser.come_back()
        victim = Browser(own.api)
        await victim.leave()
        assert (await victim.go(stolen)).status == 400
        assert (await browser.go(stolen)).status == 400
        shown = await browser.go(callback, accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        assert shown.status == 302
        place = urlsplit(shown.headers["Location"])
        assert (place.scheme, place.netloc, place.path) == ("", "", "/console/")
        told = parse_qs(place.query)
        assert told["error"] == ["invalid"]
        assert "begin again" in told["error_description"][0]


async def test_new_keys_of_the_provider_are_found(tmp_path: Path, provider: Provider) -> None:
    """A token signed with a key that the provider made since is taken once its keys were asked anew."""
    async with center_with(tmp_path, provider, clock=TurnedClock(time=time.time())) as own:
        assert (await Browser(own.api).arrive()).status == 302
        provider.set(rotate=True)
        # Not at once: made-up key names must not make the center ask again and again.
        assert (await Browser(own.api).arrive()).code == "provider_refused"
        assert isinstance(own.center.clock, TurnedClock)
        await own.center.clock.advance(30.0)
        assert (await Browser(own.api).arrive()).status == 302


@pytest.mark.parametrize(
    "said", [{"fault": "away"}, {"fault": "not_json"}, {"issuer": "https://other.example"}]
)
async def test_a_provider_that_fails_is_said_to(
    tmp_path: Path, provider: Provider, said: dict[str, Any]
) -> None:
    """503 with the reason, and the next try asks anew."""
    async with center_with(tmp_path, provider) as own:
        provider.set(**said)
        answer = await Browser(own.api).go("/api/oidc/sso/login")
        assert (answer.status, answer.code) == (503, "provider_unavailable")
        provider.set()
        assert (await Browser(own.api).arrive()).status == 302


async def test_a_slow_provider_is_given_up(tmp_path: Path, provider: Provider) -> None:
    """Ten seconds are enough for an answer."""
    clock = TurnedClock()
    async with center_with(tmp_path, provider, clock=clock) as own:
        provider.set(fault="slow")
        async with Tasks("test") as tasks:
            asking = tasks.start("ask", Browser(own.api).go("/api/oidc/sso/login"))
            while not asking.done():
                await clock.advance(1.0)
            answer = asking.result()
        assert (answer.status, answer.code) == (503, "provider_unavailable")


async def test_a_provider_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    """Nobody listens: 503."""
    async with center_with(tmp_path, Provider("http://127.0.0.1:1")) as own:
        answer = await Browser(own.api).go("/api/oidc/sso/login")
        assert (answer.status, answer.code) == (503, "provider_unavailable")


async def test_a_program_gets_the_code_or_the_reason(tmp_path: Path, provider: Provider) -> None:
    """A sign-in for a program on the caller's machine ends there, well or not."""
    async with center_with(tmp_path, provider) as own:
        arrived = await Browser(own.api).arrive(PROGRAM)
        assert arrived.headers["Location"].startswith(f"{PROGRAM}?code=")
        assert (await exchange(own.api, code_in(arrived))).status == 200
        provider.set(deny=True)
        refused = (await Browser(own.api).arrive(PROGRAM)).headers["Location"]
        assert parse_qs(urlsplit(refused).query)["error"] == ["provider_refused"]


@pytest.mark.parametrize("page", ["/console", "/console/hosts?target=all", "/console?x=1"])
async def test_the_console_is_told_what_went_wrong(tmp_path: Path, provider: Provider, page: str) -> None:
    """A refusal, and a provider that is away, lead back to where the sign-in began."""
    async with center_with(tmp_path, provider) as own:
        provider.set(deny=True)
        refused = (await Browser(own.api).arrive(page)).headers["Location"]
        assert refused.startswith(page)
        assert parse_qs(urlsplit(refused).query)["error"] == ["provider_refused"]
    async with center_with(tmp_path / "other", Provider("http://127.0.0.1:1")) as own:
        away = await Browser(own.api).leave(page)
        assert parse_qs(urlsplit(away).query)["error"] == ["provider_unavailable"]
        assert (await Browser(own.api).go("/api/oidc/sso/login?redirect=/consoles")).status == 503


@pytest.mark.parametrize(
    "redirect",
    ["https://evil.example/", "//evil.example/", "/%5Cevil.example", "http://127.0.0.1.evil.example:1/", "x"],
)
async def test_nobody_is_sent_elsewhere(tmp_path: Path, provider: Provider, redirect: str) -> None:
    """A sign-in leads back to the center or to this machine, never to another site."""
    async with center_with(tmp_path, provider) as own:
        answer = await Browser(own.api).go(f"/api/oidc/sso/login?redirect={redirect}")
        assert (answer.status, answer.code) == (400, "invalid")


async def test_sign_ins_in_flight_are_bounded(tmp_path: Path, provider: Provider) -> None:
    """One address begins thirty at once, then one every two seconds."""
    async with center_with(tmp_path, provider, clock=TurnedClock()) as own:
        browser = Browser(own.api)
        answers = [await browser.go("/api/oidc/sso/login") for _ in range(31)]
        assert [answer.status for answer in answers] == [302] * 30 + [429]


async def test_a_sign_in_that_took_too_long_is_over(tmp_path: Path, provider: Provider) -> None:
    """Ten minutes at the provider; one minute for the code."""
    clock = TurnedClock(time=time.time())
    async with center_with(tmp_path, provider, clock=clock) as own:
        late = Browser(own.api)
        callback = await late.come_back()
        code = code_in(await Browser(own.api).arrive())
        await clock.advance(60.0)
        assert (await exchange(own.api, code)).status == 401
        await clock.advance(540.0)
        assert (await late.go(callback)).status == 400


async def test_the_cookie_is_for_this_alone(tmp_path: Path, provider: Provider) -> None:
    """It goes to the sign-in's paths only, and no script reads it."""
    async with center_with(tmp_path, provider) as own, aiohttp.ClientSession() as session:
        address = f"{own.url}/api/oidc/sso/login"
        async with session.get(address, allow_redirects=False) as response:
            cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "Path=/api/oidc" in cookie
    assert "samesite=lax" in cookie.lower()
