"""Parts of the access room that need no database."""

import pytest

from outrider.center.access.known import KnownCallers
from outrider.center.access.one_use import OneUse
from outrider.center.access.throttle import Throttle, source_of
from outrider.center.http.callers import Caller
from outrider.center.settings import OidcSettings, is_safe_address
from outrider.domain.errors import Throttled
from outrider.domain.ids import SessionId, UserId
from outrider.domain.roles import Role
from outrider.testing.clock import TurnedClock


def caller(clock: TurnedClock, user: str, session: str) -> Caller:
    """Make somebody whose session lasts an hour."""
    return Caller(
        user_id=UserId(user),
        username=user,
        role=Role.VIEWER,
        session_id=SessionId(session),
        expires=clock.time() + 3600.0,
    )


async def test_a_caller_is_known_for_seconds() -> None:
    """Five seconds, and never beyond the session's end."""
    clock = TurnedClock()
    known = KnownCallers(clock)
    someone = caller(clock, "a", "ses_1")
    known.remember(b"1", someone, read_at=known.forgotten)
    assert known.find(b"1") is someone
    await clock.advance(5.0)
    assert known.find(b"1") is None


def test_who_is_forgotten_is_not_remembered_from_an_older_look() -> None:
    """What was read from the database before somebody changed does not come back."""
    clock = TurnedClock()
    known = KnownCallers(clock)
    read_at = known.forgotten
    known.forget_user("a")
    known.remember(b"1", caller(clock, "a", "ses_1"), read_at=read_at)
    assert known.find(b"1") is None


def test_only_who_is_meant_is_forgotten() -> None:
    """All of a user's, or one session's."""
    clock = TurnedClock()
    known = KnownCallers(clock)
    for digest, user, session in ((b"1", "a", "ses_1"), (b"2", "a", "ses_2"), (b"3", "b", "ses_3")):
        known.remember(digest, caller(clock, user, session), read_at=known.forgotten)
    known.forget_via("ses_1")
    assert [known.find(digest) is not None for digest in (b"1", b"2", b"3")] == [False, True, True]
    known.forget_user("a")
    assert [known.find(digest) is not None for digest in (b"1", b"2", b"3")] == [False, False, True]


async def test_a_value_is_taken_once_and_soon() -> None:
    """Once; not when it is too old; and the oldest give way to the newest."""
    clock = TurnedClock()
    values: OneUse[str] = OneUse(clock, lifetime=30.0, room=2)
    first = values.put("first")
    assert values.take(first) == "first"
    assert values.take(first) is None
    old = values.put("old")
    await clock.advance(30.0)
    assert values.take(old) is None
    names = [values.put(str(number)) for number in range(3)]
    assert [values.take(name) for name in names] == [None, "1", "2"]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a name", "a name"),
    ],
)
def test_what_one_person_controls(address: str, source: str) -> None:
    """An IPv4 address, or an IPv6 network."""
    assert source_of(address) == source


async def test_codes_are_few() -> None:
    """Five tries at a second factor, then one in thirty seconds; success clears them."""
    clock = TurnedClock()
    throttle = Throttle(clock)
    for _ in range(5):
        throttle.take_code("user_1")
    with pytest.raises(Throttled):
        throttle.take_code("user_1")
    throttle.take_code("user_2")
    await clock.advance(30.0)
    throttle.take_code("user_1")
    throttle.clear_codes("user_1")
    for _ in range(5):
        throttle.take_code("user_1")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"issuer": "http://id.example", "client_id": "x"}, "https"),
        ({"issuer": "ftp://id.example", "client_id": "x"}, "https"),
        ({"issuer": "https://id.example"}, "client_id"),
        ({"issuer": "https://id.example", "client_id": "x", "scopes": ["profile"]}, "openid"),
        ({"role_mapping": ["ops=king"]}, "role_mapping"),
    ],
)
def test_a_provider_that_cannot_work_is_refused(settings: dict[str, str], reason: str) -> None:
    """At the start, with what is missing."""
    with pytest.raises(ValueError, match=reason):
        OidcSettings(**settings)  # type: ignore[arg-type]  # each case has fields of its own


def test_secrets_go_to_safe_addresses() -> None:
    """HTTPS, or this machine."""
    assert is_safe_address("https://id.example/x")
    assert is_safe_address("http://127.0.0.1:5")
    assert not is_safe_address("http://id.example")
    assert not is_safe_address("https://")
    assert not is_safe_address("x")
