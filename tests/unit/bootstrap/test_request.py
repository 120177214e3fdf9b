"""What an install is asked to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from outrider.bootstrap.request import BadRequest, Request

_CENTER = {"center_url": "https://center:8443"}


def test_the_least() -> None:
    """The center's address alone is enough for a host that has an agent; the rest has its usual value."""
    request = Request.parse(json.dumps(_CENTER))
    assert request.prefix == Path("/opt/outrider")
    assert (request.home, request.bundle) == (None, None)
    assert (request.adopt, request.start, request.wait) == (False, True, 60.0)


def test_all_of_it() -> None:
    """Each setting arrives as what it is."""
    told = {
        **_CENTER,
        "pins": ["a", "b"],
        "enrolment_key": "oek_abc123_secret.pin",
        "home": "/srv/agent",
        "adopt": True,
        "wait": 5,
        "label": None,
    }
    request = Request.parse(json.dumps(told).encode())
    assert request.pins == ("a", "b")
    assert request.home == Path("/srv/agent")
    assert request.adopt
    assert request.enrolment_key_id == "abc123"
    assert "secret" not in repr(request)


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ("{}", "center_url"),
        ({**_CENTER, "centre": "x"}, "centre"),
        ({**_CENTER, "home": "relative"}, "home"),
        ({**_CENTER, "adopt": "yes"}, "adopt"),
        ({**_CENTER, "wait": -1}, "wait"),
        ({**_CENTER, "wait": 1e9}, "wait"),
        ({**_CENTER, "pins": "a"}, "pins"),
        ({**_CENTER, "label": 3}, "label"),
    ],
)
def test_what_can_not_be_used(told: Any, word: str) -> None:
    """It is refused by name, before anything is done."""
    with pytest.raises(BadRequest, match=word):
        Request.parse(told if isinstance(told, str) else json.dumps(told))
