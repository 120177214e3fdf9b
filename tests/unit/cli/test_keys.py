"""Enrolment keys as the list tells of them."""

from typing import Any

import pytest

from outrider.cli.keys import state_of
from outrider.client import EnrolmentKeyFacts


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"expires": 200, "uses": 2, "used": 1}, "alive"),
        ({"expires": None, "uses": None, "used": 90}, "alive"),
        ({"expires": 200, "uses": 1, "used": 1}, "used up"),
        ({"expires": 100, "uses": 1, "used": 0}, "expired"),
        ({"expires": 100, "uses": 1, "used": 1, "revoked": True}, "revoked"),
    ],
)
def test_a_key_says_why_nobody_can_join_with_it(facts: dict[str, Any], state: str) -> None:
    """Revoked, expired, used up, or alive."""
    assert state_of(EnrolmentKeyFacts(id="k", **facts), 150) == state
