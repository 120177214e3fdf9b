"""Signing in and out over the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.center.access.service import AccessService
from outrider.center.store.engine import open_store
from outrider.domain.errors import Throttled, Unauthenticated
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import PASSWORD, own_center


async def test_login_gives_a_token_that_works(each_api: Api) -> None:
    """Name and password open a session; logging out ends it at once."""
    opened = await each_api.post("/api/login", {"username": "admin", "password": PASSWORD}, role=None)
    assert set(opened) == {"token", "expires", "user"}
    assert (opened["user"]["username"], opened["user"]["role"]) == ("admin", "super_admin")
    bearer = {"Authorization": f"Bearer {opened['token']}"}
    seen = await each_api.get("/api/session", role=None, headers=bearer)
    assert seen["user"] == opened["user"]
    assert seen["expires"] == opened["expires"]
    assert set(seen["center"]) == {"version", "epoch", "name"}
    ended = await each_api.post("/api/logout", role=None, headers=bearer)
    assert ended == {"status": "ended"}
    after = await each_api.ask("GET", "/api/session", role=None, headers=bearer)
    assert (after.status, after.code) == (401, "unauthenticated")


async def test_a_wrong_sign_in_does_not_say_what_was_wrong(each_api: Api) -> None:
    """A wrong password, an unknown name, a disabled user: the same 401."""
    details = set()
    for name, password in (("admin", "wrong"), ("nobody", PASSWORD), ("the_disabled", PASSWORD)):
        answer = await each_api.ask("POST", "/api/login", {"username": name, "password": password}, role=None)
        assert (answer.status, answer.code) == (401, "unauthenticated"), name
        details.add(answer.json["detail"])
    assert len(details) == 1


async def test_names_are_matched_without_case_and_spaces(tmp_path: Path) -> None:
    """`Admin ` is `admin`: people type."""
    async with _service(tmp_path, TurnedClock()) as access:
        assert await access.begin("secret") is None
        signed_in = await access.login(" Admin ", "secret", address="", client="")
        assert signed_in.caller.username == "admin"


async def test_sign_in_is_throttled_by_name_and_by_address(tmp_path: Path) -> None:
    """Ten wrong tries at once, then one every six seconds, for each address and each name from there."""
    clock = TurnedClock()
    async with _service(tmp_path, clock) as access:
        await access.begin("secret")
        for _ in range(10):
            await _refused(access, "admin", "198.51.100.1")
        throttled = await _throttled(access, "admin", "198.51.100.1")
        assert 0 < throttled.fields["retry_after"] <= 6.0
        for number in range(10):
            await _refused(access, f"user{number}", "203.0.113.1")
        await _throttled(access, "user10", "203.0.113.1")
        await clock.advance(6.0)
        await _refused(access, "admin", "198.51.100.1")


async def test_nobody_is_kept_out_by_anothers_guesses(tmp_path: Path) -> None:
    """Wrong tries from one address do not hold up the same name elsewhere; success clears the count."""
    async with _service(tmp_path, TurnedClock()) as access:
        await access.begin("secret")
        for _ in range(10):
            await _refused(access, "admin", "198.51.100.1")
        for _ in range(15):
            await access.login("admin", "secret", address="198.51.100.2", client="")


async def test_guessing_from_everywhere_is_held_up(tmp_path: Path) -> None:
    """Many wrong tries at one name from as many addresses hold it up for all, for seconds."""
    async with _service(tmp_path, TurnedClock(), tries_everywhere=3) as access:
        for number in range(3):
            await _refused(access, "nobody", f"198.51.100.{number}")
        throttled = await _throttled(access, "nobody", "203.0.113.1")
        assert throttled.fields["retry_after"] <= 2.0


async def test_a_throttled_sign_in_says_when_to_come_back(tmp_path: Path) -> None:
    """Over the wire: 429 with `Retry-After` in whole seconds."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        body = {"username": "nobody", "password": "wrong"}
        answers = [await own.api.ask("POST", "/api/login", body, role=None) for _ in range(11)]
        assert [answer.status for answer in answers] == [401] * 10 + [429]
        assert answers[-1].code == "throttled"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 6


async def test_a_session_ends_in_time(tmp_path: Path) -> None:
    """A token is void once its session has expired, also one that was looked up a moment before."""
    clock = TurnedClock()
    async with _service(tmp_path, clock) as access:
        await access.begin("secret")
        token = (await access.login("admin", "secret", address="", client="")).token
        await clock.advance(3599.0)
        await access.authenticate(token)
        await clock.advance(1.0)
        with pytest.raises(Unauthenticated):
            await access.authenticate(token)


async def test_the_first_user_is_made_once(tmp_path: Path) -> None:
    """The first start makes `admin` and tells the password it made; the next ones do nothing."""
    async with _service(tmp_path, TurnedClock()) as access:
        made = await access.begin(None)
        assert made is not None
        assert len(made) >= 20
        assert await access.begin("another") is None
        assert (await access.login("admin", made, address="", client="")).caller.role.value == "super_admin"


@asynccontextmanager
async def _service(
    home: Path, clock: TurnedClock, *, tries_everywhere: int = 100
) -> AsyncIterator[AccessService]:
    store = await open_store(None, home=home, clock=clock)
    try:
        async with Tasks("access") as tasks:
            ready = asyncio.Event()
            tasks.spawn("writer", store.writer.serve(ready.set))
            await ready.wait()
            yield AccessService(store, clock, session_seconds=3600.0, tries_everywhere=tries_everywhere)
    finally:
        await store.close()


async def _refused(access: AccessService, name: str, address: str) -> None:
    with pytest.raises(Unauthenticated):
        await access.login(name, "wrong", address=address, client="")


async def _throttled(access: AccessService, name: str, address: str) -> Throttled:
    with pytest.raises(Throttled) as refused:
        await access.login(name, "secret", address=address, client="")
    return refused.value
