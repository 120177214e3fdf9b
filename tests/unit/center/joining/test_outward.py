"""By which address hosts are told to reach the center."""

from dataclasses import dataclass

import pytest

from outrider.center.joining.outward import Outward
from outrider.center.settings import Address

_PEM = b"the authority"


@dataclass(frozen=True)
class _Listening:
    name: str
    address: Address


_PLAIN = _Listening("http", Address("127.0.0.1", 8080))


def _outward(*listening: _Listening, public_url: str = "") -> Outward:
    outward = Outward(public_url, _PEM)
    outward.listeners = (_PLAIN, *listening)
    return outward


def test_the_address_that_is_set_wins() -> None:
    """For hosts that ask as for those to come."""
    outward = _outward(public_url="https://outrider.example/")
    assert outward.of_any_host().url == "https://outrider.example"
    assert outward.of_a_host("https://10.0.0.1:8443") == "https://outrider.example"


def test_a_host_that_asks_has_reached_us() -> None:
    """It is told the address by which it did."""
    assert _outward().of_a_host("https://10.0.0.1:8443") == "https://10.0.0.1:8443"


def test_a_center_that_only_this_machine_reaches() -> None:
    """There is no address for others, and the note says how there comes to be one."""
    seen = _outward().of_any_host()
    assert seen.url == ""
    assert "OUTRIDER_TLS_LISTEN" in seen.note


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.1.2.3", "https://10.1.2.3:8443"),
        ("center.example", "https://center.example:8443"),
        ("2001:db8::1", "https://[2001:db8::1]:8443"),
        ("127.0.0.1", "https://127.0.0.1:8443"),
    ],
)
def test_the_address_it_listens_on(host: str, url: str) -> None:
    """Over TLS, with the port; a loopback's is told with a note."""
    seen = _outward(_Listening("https", Address(host, 8443))).of_any_host()
    assert seen.url == url
    assert bool(seen.note) == host.startswith("127.")


def test_on_every_card_it_is_the_one_that_leads_out() -> None:
    """Not the wildcard, which is nobody's address."""
    seen = _outward(_Listening("https", Address("0.0.0.0", 8443))).of_any_host()  # noqa: S104 - not bound
    assert "0.0.0.0" not in seen.url  # noqa: S104 - compared
    assert "OUTRIDER_PUBLIC_URL" in seen.note


def test_whom_to_trust() -> None:
    """The center's authorities vouch for it over TLS alone."""
    assert _outward().trusted_by("https://center") == "the authority"
    assert _outward().trusted_by("http://127.0.0.1:8080") == ""
