"""Which pages may ask."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.http.origins import check_origin
from outrider.domain.errors import Forbidden

PUBLIC = "https://fleet.example"


def ask(origin: str | None, host: str = "fleet.example", public_url: str = PUBLIC) -> None:
    """A handshake with these headers."""
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    check_origin(cast("Any", SimpleNamespace(headers=headers)), public_url)


@pytest.mark.parametrize(
    ("origin", "host", "public_url"),
    [
        (None, "fleet.example", PUBLIC),
        (PUBLIC, "fleet.example", PUBLIC),
        ("https://FLEET.example", "fleet.example", ""),
        ("https://fleet.example:443", "fleet.example", ""),
        ("https://fleet.example", "fleet.example:443", ""),
        ("http://fleet.example", "fleet.example:80", ""),
        ("http://10.0.0.5:8500", "10.0.0.5:8500", ""),
        ("http://[::1]:8500", "[::1]:8500", ""),
        ("https://fleet.example", "127.0.0.1:8500", PUBLIC),
        ("https://fleet.example:8443", "127.0.0.1:8500", "https://fleet.example:8443/under"),
    ],
)
def test_the_centers_own_pages(origin: str | None, host: str, public_url: str) -> None:
    """By the address that was asked, or the public one in front of it; programs name no page at all."""
    ask(origin, host, public_url)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.example",
        "https://fleet.example.evil.example",
        "https://evil.example/fleet.example",
        "https://evil.example#fleet.example",
        "https://fleet.example@evil.example",
        "https://fleet.example:8443",
        "https://fleet.example:80",
        "http://fleet.example:443",
        "https://user@fleet.example",
        "fleet.example",
        "//",
        "http://[",
        "http://[fleet.example]",
        "file://",
    ],
)
def test_pages_of_others(origin: str) -> None:
    """Whatever they are called, they are refused."""
    with pytest.raises(Forbidden):
        ask(origin)


@given(st.text(max_size=60))
def test_any_origin_is_taken_or_refused(origin: str) -> None:
    """Nothing that a header may hold is a fault of ours."""
    try:
        ask(origin)
    except Forbidden:
        return
    assert "fleet.example" in origin.lower()


def test_without_a_host_only_the_public_address_counts() -> None:
    """A request of HTTP/1.0 has none."""
    ask(PUBLIC, host="")
    with pytest.raises(Forbidden):
        ask("https://evil.example", host="", public_url="")
