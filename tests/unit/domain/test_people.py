"""Rules about people: names, passwords, recovery codes, who manages whom, what a provider's claims mean."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain import password_rules, provider_rules, recovery_codes, return_addresses, usernames
from outrider.domain.errors import Invalid
from outrider.domain.roles import Role


@pytest.mark.parametrize("name", ["a", "alice", "a.b-c_d+e@f.example", "0", "x" * 100])
def test_names_that_are_taken(name: str) -> None:
    """Lower-case letters, digits and a few signs."""
    assert usernames.reason_against(name) is None


@pytest.mark.parametrize("name", ["", ".a", "a b", "Alice", "x" * 101, "a\n", "ä", "a\0"])
def test_names_that_are_not(name: str) -> None:
    """Nothing that could be mistaken, or that breaks a line."""
    assert usernames.reason_against(name)


@given(st.text())
def test_a_name_from_elsewhere_is_taken_or_empty(text: str) -> None:
    """Whatever a provider calls somebody, what is made of it is a name, or nothing."""
    made = usernames.from_words(text)
    assert made == "" or usernames.reason_against(made) is None


def test_passwords_are_long_and_not_the_name() -> None:
    """Ten characters; not the user's name, however written."""
    assert password_rules.reason_against("123456789", username="alice")
    assert password_rules.reason_against("Long-Name-Indeed", username="long-name-indeed")
    assert password_rules.reason_against("1234567890", username="alice") is None


@given(st.text())
def test_recovery_codes_are_read_as_people_type_them(noise: str) -> None:
    """Case, spaces and dashes do not count; another user's code is another."""
    code = recovery_codes.make()
    hashed = recovery_codes.hash_of(code, user_id="user_1")
    assert recovery_codes.hash_of(f" {code.upper().replace('-', ' ')}", user_id="user_1") == hashed
    assert recovery_codes.hash_of(code, user_id="user_2") != hashed
    assert len(recovery_codes.hash_of(noise, user_id="user_1")) == 32


def test_nobody_manages_above_their_role() -> None:
    """Admins and super admins manage users up to their own role; the others nobody."""
    for role in Role:
        for other in Role:
            allowed = role.covers(Role.ADMIN) and role.covers(other)
            assert role.may_manage(other) is allowed
    assert not Role.ADMIN.may_manage(Role.VIEWER, Role.SUPER_ADMIN)


@pytest.mark.parametrize(
    "text", ["/", "/a?b=c#d", "http://127.0.0.1:80/", "http://[::1]:5/x", "http://127.9.9.9:1/"]
)
def test_own_pages_and_this_machine_are_safe(text: str) -> None:
    """A path of the center, or a port of the loopback."""
    assert return_addresses.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "//evil.example",
        "/\\evil.example",
        "/a b",
        "/\n",
        "http://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:80",
        "http://user@127.0.0.1:80/",
        "http://127.0.0.1:80@evil.example/",
        "http://127.0.0.1.evil.example:80/",
        "http://localhost:80/",
        "https://127.0.0.1:80/",
        "javascript:alert(1)",
        "/" + "x" * 500,
    ],
)
def test_nothing_else_is(text: str) -> None:
    """No other site, however it is written."""
    with pytest.raises(Invalid):
        return_addresses.parse(text)


@given(st.text())
def test_what_is_safe_stays_at_home(text: str) -> None:
    """No text leads a browser that reads it as a browser does to another host."""
    try:
        found = return_addresses.parse(text)
    except Invalid:
        return
    assert text.isascii()
    assert "\\" not in text
    assert found.is_program or (text[0] == "/" and text[1:2] != "/")


def test_a_query_is_added_before_the_fragment() -> None:
    """With `?` or `&`, whichever is due."""
    assert return_addresses.parse("/a").with_query("c=1") == "/a?c=1"
    assert return_addresses.parse("/a?b=2#d").with_query("c=1") == "/a?b=2&c=1#d"


def test_a_mapping_names_roles_that_exist() -> None:
    """GROUP=ROLE; the group may hold an equals sign, as names in directories do."""
    read = provider_rules.parse_mapping(["ops = operator", "cn=chiefs,dc=example=admin"])
    assert read == {"ops": Role.OPERATOR, "cn=chiefs,dc=example": Role.ADMIN}
    for wrong in ("ops", "=admin", "ops=king", ""):
        with pytest.raises(ValueError, match="role_mapping"):
            provider_rules.parse_mapping([wrong])


@pytest.mark.parametrize(
    ("value", "role"),
    [
        ("ops", Role.OPERATOR),
        (["ops", "chiefs"], Role.ADMIN),
        (["others"], None),
        ([7, None, {}], None),
        (None, None),
        ({"ops": 1}, None),
    ],
)
def test_the_highest_group_counts(value: Any, role: Role | None) -> None:
    """A word or a list of words; anything else is no group."""
    mapping = {"ops": Role.OPERATOR, "chiefs": Role.ADMIN}
    assert provider_rules.mapped_role({"groups": value}, "groups", mapping) is role
    assert provider_rules.mapped_role({"realm": {"groups": value}}, "realm.groups", mapping) is role


def test_a_name_is_found_somewhere() -> None:
    """The claim, else the e-mail address, else the subject."""
    assert provider_rules.username({"n": "Paula P", "sub": "1"}, "n") == "paula.p"
    assert provider_rules.username({"email": "p@x.example", "sub": "1"}, "n") == "p@x.example"
    assert provider_rules.username({"n": "", "sub": "S-1"}, "n") == "s-1"
    assert provider_rules.username({"sub": "*"}, "n") is None
