"""Profiles: what may be set, and what a profile comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.errors import Invalid
from outrider.domain.profiles import (
    CLIENT_API_PORT,
    KNOWN,
    MAX_PARAMS,
    check_params,
    inherited,
    merged,
)

_PARAMS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_api_enabled", "yes"),
        ("client_api_enabled", "True"),
        ("client_api_port", "0"),
        ("client_api_port", "65536"),
        ("client_api_port", "+80"),
        ("client_api_port", "٣"),
        ("client_api_port", "9" * 5000),
        ("client_api_token_auth", ""),
        ("terminal_recording", "some"),
        ("Client_API_Port", "3840"),
        ("1st", ""),
        ("", ""),
        ("a b", ""),
        ("a" * 65, ""),
        ("free", "two\nlines"),
        ("free", "x" * 1025),
    ],
)
def test_what_is_wrong_is_refused_by_name(name: str, value: str) -> None:
    """The error says which parameter it is about."""
    with pytest.raises(Invalid) as caught:
        check_params({"good": "1", name: value})
    assert str(caught.value.fields["field"]).startswith("params")


def test_known_and_free_parameters_are_taken() -> None:
    """A free one may be anything printable, also empty."""
    params = {"client_api_port": "1", "terminal_recording": "all", "Own.thing-1": "", "b": "a = b ü"}
    assert check_params(params) == params
    assert CLIENT_API_PORT.of(params) == 1


def test_there_are_bounds() -> None:
    """A profile can't grow without end."""
    with pytest.raises(Invalid):
        check_params({f"p{number}": "" for number in range(MAX_PARAMS + 1)})


def test_known_ones_have_usable_defaults() -> None:
    """Not set, a known parameter is its default; each is found under its own name."""
    for name, parameter in KNOWN.items():
        assert parameter.name == name
        assert parameter.of({}) == parameter.default


@given(_PARAMS, _PARAMS)
def test_own_values_count_before_inherited_ones(default: dict[str, str], own: dict[str, str]) -> None:
    """Each name is there once: with its own value where there is one."""
    found = inherited(default, own)
    assert found.keys() == default.keys() | own.keys()
    assert all(found[name] == own.get(name, default.get(name)) for name in found)
    assert inherited({}, found) == found


@given(_PARAMS, st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2", None])))
def test_changes_touch_what_they_name(params: dict[str, str], changes: dict[str, str | None]) -> None:
    """None removes, a value sets, the rest stays; the same again changes nothing."""
    after = merged(params, changes)
    for name in params.keys() | changes.keys():
        assert after.get(name) == (changes[name] if name in changes else params[name])
    assert merged(after, changes) == after
