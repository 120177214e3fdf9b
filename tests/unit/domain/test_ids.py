"""Identifiers: their shape, their order in time, and what is none."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.ids import has_shape, new_agent_id, new_command_id, new_session_id, new_user_id

MAKERS: list[tuple[Callable[[float], str], str]] = [
    (new_agent_id, "agent_"),
    (new_command_id, "cmd_"),
    (new_user_id, "user_"),
    (new_session_id, "ses_"),
]
moments = st.floats(min_value=0, max_value=2**44 / 1000)


@pytest.mark.parametrize(("make", "prefix"), MAKERS)
@given(now=moments)
def test_an_id_is_its_prefix_and_twenty_characters(
    make: Callable[[float], str], prefix: str, now: float
) -> None:
    """Contract 002: the kind, then 12 or more url-safe characters."""
    made = make(now)
    assert re.fullmatch(prefix + r"[0-9a-z]{20}", made, re.ASCII)
    assert has_shape(made, prefix)


@given(first=moments, later=moments)
def test_ids_sort_by_time(first: float, later: float) -> None:
    """A newer row sorts after an older one, to the millisecond."""
    if int(first * 1000) < int(later * 1000):
        assert new_command_id(first) < new_command_id(later)


def test_ids_of_one_moment_differ() -> None:
    """Fifty-five random bits: no two of ten thousand are the same."""
    assert len({new_command_id(1.0) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    "text",
    [
        *("", "agent_", "agent_short", "cmd_000000000000", "agent_" + "x" * 65),
        *("agent_00000000000\n", "agent_ééééééééééééé"),
    ],
)
def test_what_is_no_id(text: str) -> None:
    """Another prefix, too short, too long, other characters."""
    assert not has_shape(text, "agent_")
