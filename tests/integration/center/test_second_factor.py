"""The second factor over the wire."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from outrider.domain import totp
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Answer, Api
from tests.fixtures.center import PASSWORD, own_center


class Phone:
    """An authenticator app."""

    def __init__(self, secret: str, clock: TurnedClock) -> None:
        """Take the secret as a person types it."""
        self._secret = base64.b32decode(secret + "=" * (-len(secret) % 8))
        self._clock = clock

    def code(self, steps: int = 0) -> str:
        """Show the code of now, or of some steps from now."""
        return totp.code_at(self._secret, totp.step_at(self._clock.time()) + steps)

    def wrong(self) -> str:
        """Show a code that is none now."""
        codes = {self.code(steps) for steps in (-1, 0, 1)}
        return next(f"{number:06}" for number in range(9) if f"{number:06}" not in codes)


async def sign_in(api: Api, code: str | None = None) -> Answer:
    """Ask for a session of alice."""
    body: dict[str, Any] = {"username": "alice", "password": PASSWORD}
    if code is not None:
        body["code"] = code
    return await api.ask("POST", "/api/login", body, role=None)


async def enabled(api: Api, clock: TurnedClock) -> tuple[Phone, list[str], dict[str, str]]:
    """Add alice and turn her second factor on; return her app, recovery codes and session."""
    await api.post("/api/users", {"username": "alice", "role": "viewer", "password": PASSWORD})
    session = {"Authorization": f"Bearer {(await sign_in(api)).json['token']}"}
    shown = await api.post("/api/totp", {"password": PASSWORD}, role=None, headers=session)
    assert set(shown) == {"secret", "uri"}
    phone = Phone(shown["secret"], clock)
    # Not asked for before it is confirmed.
    assert (await sign_in(api)).status == 200
    codes = await api.post("/api/totp/confirm", {"code": phone.code()}, role=None, headers=session)
    assert (await api.get("/api/session", role=None, headers=session))["user"]["totp"]
    await clock.advance(30.0)
    return phone, codes["recovery_codes"], session


async def test_a_code_is_asked_for(tmp_path: Path) -> None:
    """Without one 401 says so, only to who knows the password; with one a session opens."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        phone, codes, _ = await enabled(own.api, clock)
        assert len(set(codes)) == 10
        missing = await sign_in(own.api)
        assert (missing.status, missing.code) == (401, "second_factor_required")
        guess = {"username": "alice", "password": "x", "code": phone.code()}
        assert (await own.api.ask("POST", "/api/login", guess, role=None)).code == "unauthenticated"
        wrong = await sign_in(own.api, phone.wrong())
        assert (wrong.status, wrong.code) == (401, "unauthenticated")
        opened = await sign_in(own.api, phone.code())
        assert opened.status == 200
        assert opened.json["user"]["totp"]


async def test_a_code_counts_once(tmp_path: Path) -> None:
    """Neither again, nor one before it, nor twice at the same time, nor the one that confirmed."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        phone, _, _ = await enabled(own.api, clock)
        assert (await sign_in(own.api, phone.code(-1))).status == 401
        code = phone.code()
        answers = await asyncio.gather(*(sign_in(own.api, code) for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [200, 401, 401]
        assert (await sign_in(own.api, phone.code(1))).status == 200
        assert (await sign_in(own.api, code)).status == 401


async def test_a_recovery_code_counts_once(tmp_path: Path) -> None:
    """In place of a code; however it is typed."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        _, codes, _ = await enabled(own.api, clock)
        assert (await sign_in(own.api, codes[0].upper())).status == 200
        assert (await sign_in(own.api, codes[0])).status == 401
        answers = await asyncio.gather(*(sign_in(own.api, codes[1]) for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [200, 401, 401]


async def test_codes_are_throttled(tmp_path: Path) -> None:
    """Five wrong ones at once, then one in thirty seconds."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        phone, _, _ = await enabled(own.api, clock)
        answers = [await sign_in(own.api, phone.wrong()) for _ in range(6)]
        assert [answer.status for answer in answers] == [401] * 5 + [429]
        await clock.advance(30.0)
        assert (await sign_in(own.api, phone.code())).status == 200


async def test_it_takes_the_password_to_change_it(tmp_path: Path) -> None:
    """A stolen session neither sets a second factor up nor takes it away."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        _, _, session = await enabled(own.api, clock)
        for method in ("POST", "DELETE"):
            answer = await own.api.ask(method, "/api/totp", {"password": "x"}, role=None, headers=session)
            assert (answer.status, answer.code) == (403, "wrong_password")
        ended = await own.api.ask("DELETE", "/api/totp", {"password": PASSWORD}, role=None, headers=session)
        assert ended.status == 200
        assert (await sign_in(own.api)).status == 200


async def test_a_new_app_takes_over_once_confirmed(tmp_path: Path) -> None:
    """Until then the old one counts; a wrong code confirms nothing; old recovery codes are void."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        phone, codes, session = await enabled(own.api, clock)
        shown = await own.api.post("/api/totp", {"password": PASSWORD}, role=None, headers=session)
        other = Phone(shown["secret"], clock)
        body = {"code": other.wrong()}
        refused = await own.api.ask("POST", "/api/totp/confirm", body, role=None, headers=session)
        assert (refused.status, refused.code) == (400, "invalid")
        assert (await sign_in(own.api, phone.code())).status == 200
        await own.api.post("/api/totp/confirm", {"code": other.code()}, role=None, headers=session)
        await clock.advance(30.0)
        assert (await sign_in(own.api, phone.code())).status == 401
        assert (await sign_in(own.api, codes[0])).status == 401
        assert (await sign_in(own.api, other.code())).status == 200


async def test_nothing_to_confirm(tmp_path: Path) -> None:
    """A code without a secret that was shown: 409."""
    async with own_center(tmp_path, clock=TurnedClock()) as own:
        answer = await own.api.ask("POST", "/api/totp/confirm", {"code": "000000"})
        assert (answer.status, answer.code) == (409, "conflict")


async def test_an_administrator_takes_a_lost_one_away(tmp_path: Path) -> None:
    """And it is in the audit log, as is all that the user did with it, without a secret."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        _, codes, session = await enabled(own.api, clock)
        await sign_in(own.api, codes[0])
        alice = (await own.api.get("/api/session", role=None, headers=session))["user"]
        assert (await own.api.ask("DELETE", f"/api/users/{alice['id']}/totp")).status == 200
        assert (await sign_in(own.api)).status == 200
        found = await own.api.get("/api/audit?limit=1000&order=asc")
        actions = [entry["action"] for entry in found["entries"] if entry["subject"] == alice["id"]]
        assert actions == ["user.add", "totp.begin", "totp.confirm", "totp.remove"]
        assert codes[0] not in str(found)


@pytest.mark.parametrize("code", ["", "x" * 41, "a\0b"])
async def test_odd_codes_are_refused(api: Api, code: str) -> None:
    """Before anything is looked up."""
    body = {"username": "admin", "password": PASSWORD, "code": code}
    assert (await api.ask("POST", "/api/login", body, role=None)).status == 400
