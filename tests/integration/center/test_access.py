"""Signing in and out over the wire."""

from pathlib import Path
from typing import Any

import pytest

from outrider.center.access.sign_in import SignIn
from outrider.center.access.throttle import Throttle
from outrider.domain.errors import Throttled, Unauthenticated
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Answer, Api
from tests.fixtures.center import PASSWORD, OwnCenter, own_center


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def sign_in(api: Api, username: str, password: str, **more: Any) -> Answer:
    """Ask for a session."""
    return await api.ask(
        "POST", "/api/login", {"username": username, "password": password, **more}, role=None
    )


async def new_user(api: Api, username: str, role: str = "operator", password: str = PASSWORD) -> Any:
    """Add a user as the super admin."""
    body = {"username": username, "role": role, "password": password}
    return await api.post("/api/users", body, role="super_admin")


async def token_of(api: Api, username: str, password: str = PASSWORD) -> str:
    """Sign in; return the session's token."""
    answer = await sign_in(api, username, password)
    assert answer.status == 200, answer
    token: str = answer.json["token"]
    return token


async def test_login_gives_a_token_that_works(each_api: Api) -> None:
    """Name and password open a session; logging out ends it at once."""
    opened = await each_api.post("/api/login", {"username": "admin", "password": PASSWORD}, role=None)
    assert set(opened) == {"token", "expires", "user"}
    assert (opened["user"]["username"], opened["user"]["role"]) == ("admin", "super_admin")
    assert (opened["user"]["totp"], opened["user"]["must_change_password"]) == (False, False)
    shown = bearer(opened["token"])
    seen = await each_api.get("/api/session", role=None, headers=shown)
    assert seen["user"] == opened["user"]
    assert seen["expires"] == opened["expires"]
    assert set(seen["center"]) == {"version", "epoch", "name"}
    ended = await each_api.post("/api/logout", role=None, headers=shown)
    assert ended == {"status": "ended"}
    after = await each_api.ask("GET", "/api/session", role=None, headers=shown)
    assert (after.status, after.code) == (401, "unauthenticated")


async def test_a_wrong_sign_in_does_not_say_what_was_wrong(each_api: Api) -> None:
    """A wrong password, an unknown name, a disabled user: the same 401."""
    details = set()
    for name, password in (("admin", "wrong"), ("nobody", PASSWORD), ("the_disabled", PASSWORD)):
        answer = await sign_in(each_api, name, password)
        assert (answer.status, answer.code) == (401, "unauthenticated"), name
        details.add(answer.json["detail"])
    assert len(details) == 1


async def test_names_are_matched_without_case_and_spaces(tmp_path: Path) -> None:
    """`Alice ` is `alice`: people type."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        added = await new_user(own.api, " Alice ")
        assert added["username"] == "alice"
        assert (await sign_in(own.api, "ALICE ", PASSWORD)).json["user"]["id"] == added["id"]


async def test_sign_in_is_throttled_by_name_and_by_address(tmp_path: Path) -> None:
    """Ten wrong tries at once, then one every six seconds, for each address and each name from there."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        for _ in range(10):
            await _refused(own, "nobody", "198.51.100.1")
        throttled = await _throttled(own, "nobody", "198.51.100.1")
        assert 0 < throttled.fields["retry_after"] <= 6.0
        for number in range(10):
            await _refused(own, f"user{number}", "203.0.113.1")
        await _throttled(own, "user10", "203.0.113.1")
        await clock.advance(6.0)
        await _refused(own, "nobody", "198.51.100.1")


async def test_one_ipv6_network_is_one_address(tmp_path: Path) -> None:
    """Whoever has a /64 does not get ten tries for each of its addresses."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        for number in range(10):
            await _refused(own, "nobody", f"2001:db8::{number + 1:x}")
        await _throttled(own, "nobody", "2001:db8::ffff:1")
        await _refused(own, "nobody", "2001:db8:0:1::1")


async def test_nobody_is_kept_out_by_anothers_guesses(tmp_path: Path) -> None:
    """Wrong tries from one address do not hold up the same name elsewhere; success clears the count."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        await new_user(own.api, "alice")
        for _ in range(10):
            await _refused(own, "alice", "198.51.100.1")
        for _ in range(15):
            await own.center.access.sign_in.login("alice", PASSWORD, address="198.51.100.2", client="")


async def test_guessing_from_everywhere_is_held_up() -> None:
    """Many wrong tries at one name from as many addresses hold it up for all, for seconds."""
    clock = TurnedClock()
    throttle = Throttle(clock, tries_everywhere=3)
    for number in range(3):
        throttle.take("nobody", f"198.51.100.{number}")
    with pytest.raises(Throttled) as throttled:
        throttle.take("nobody", "203.0.113.1")
    assert throttled.value.fields["retry_after"] <= 2.0


async def test_a_throttled_sign_in_says_when_to_come_back(tmp_path: Path) -> None:
    """Over the wire: 429 with `Retry-After` in whole seconds."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        answers = [await sign_in(own.api, "nobody", "wrong") for _ in range(11)]
        assert [answer.status for answer in answers] == [401] * 10 + [429]
        assert answers[-1].code == "throttled"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 6


async def test_a_session_ends_in_time(tmp_path: Path) -> None:
    """A token is void once its session has expired, also one that was looked up a moment before."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        await new_user(own.api, "alice")
        token = await token_of(own.api, "alice")
        clock.set_time(clock.time() + 24 * 3600.0 - 1.0)
        await own.center.access.authentication.authenticate(token)
        clock.set_time(clock.time() + 1.0)
        with pytest.raises(Unauthenticated):
            await own.center.access.authentication.authenticate(token)


async def test_the_first_user_is_made_once(tmp_path: Path) -> None:
    """The first start makes `admin` and tells the password it made; the next ones do nothing."""
    async with own_center(tmp_path, clock=TurnedClock(), users=False) as own:
        made = await own.center.access.sign_in.begin(None)
        assert made is not None
        assert len(made) >= 20
        assert await own.center.access.sign_in.begin("another") is None
        opened = await sign_in(own.api, "admin", made)
        assert opened.json["user"]["role"] == "super_admin"
        assert not opened.json["user"]["must_change_password"]


async def test_sign_ins_are_in_the_audit_log(tmp_path: Path) -> None:
    """Good ones with the session, bad ones with the address; a name that is nobody's is not written down."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        alice = await new_user(own.api, "alice")
        await sign_in(own.api, "alice", PASSWORD)
        await sign_in(own.api, "alice", "wrong")
        await sign_in(own.api, "my secret typed into the wrong field", "x")
        entries = await _audited(own)
    told = [(entry["action"], entry["actor"]["name"]) for entry in entries]
    assert told[-3:] == [("session.open", "alice"), ("session.refuse", "alice"), ("session.refuse", "")]
    opened, refused, unknown = entries[-3:]
    assert opened["actor"]["id"] == alice["id"]
    assert opened["actor"]["via"] == opened["subject"]
    assert refused["actor"]["address"].startswith("127.")
    assert refused["data"] == {"reason": "password"}
    assert "typed" not in str(unknown)


async def test_floods_of_refusals_do_not_fill_the_audit_log(tmp_path: Path) -> None:
    """Beyond 300 at once they are counted, and the next entry says how many were left out."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        signing = own.center.access.sign_in
        for number in range(305):
            await _count_refusal(signing, f"10.0.{number // 250}.{number % 250}")
        await clock.advance(1.0)
        await _count_refusal(signing, "10.9.9.9")
        entries = [entry for entry in await _audited(own) if entry["action"] == "session.refuse"]
    assert len(entries) == 301
    assert entries[-1]["data"]["unrecorded_before"] == 5


async def _count_refusal(signing: SignIn, address: str) -> None:
    with pytest.raises(Unauthenticated):
        # Too long to be anybody's: refused without hashing.
        await signing.login(f"nobody at {address}", "x" * 1025, address=address, client="")


async def _audited(own: OwnCenter) -> list[Any]:
    found = await own.api.get("/api/audit?limit=1000", role="super_admin")
    entries: list[Any] = sorted(found["entries"], key=lambda entry: entry["number"])
    return entries


async def _refused(own: OwnCenter, name: str, address: str) -> None:
    with pytest.raises(Unauthenticated):
        await own.center.access.sign_in.login(name, "x" * 1025, address=address, client="")


async def _throttled(own: OwnCenter, name: str, address: str) -> Throttled:
    with pytest.raises(Throttled) as refused:
        await own.center.access.sign_in.login(name, "secret", address=address, client="")
    return refused.value
