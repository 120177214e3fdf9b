"""By which address a host reaches its center."""

from dataclasses import dataclass

import pytest

from outrider.center.deploy.reach import Reach, Trust
from outrider.center.settings import Address
from outrider.domain.errors import Invalid


@dataclass
class Listener:
    """Where a center listens."""

    address: Address
    is_secure: bool


PLAIN = Listener(Address("127.0.0.1", 8080), is_secure=False)
TLS = Listener(Address("0.0.0.0", 8443), is_secure=True)  # noqa: S104 - nothing is bound
NEAR_TLS = Listener(Address("127.0.0.1", 8443), is_secure=True)


@pytest.mark.parametrize(
    ("listeners", "local", "url"),
    [
        ([PLAIN, TLS], "10.0.0.1", "https://10.0.0.1:8443"),
        ([PLAIN, TLS], "fd00::1", "https://[fd00::1]:8443"),
        ([PLAIN], "127.0.0.1", "http://127.0.0.1:8080"),
        ([PLAIN, NEAR_TLS], "127.0.0.1", "https://127.0.0.1:8443"),
        ([Listener(Address("10.0.0.9", 443), is_secure=True)], "10.0.0.1", "https://10.0.0.9:443"),
    ],
)
def test_an_address_of_the_centers_own(listeners: list[Listener], local: str, url: str) -> None:
    """The one at which the host sees the center, over TLS unless it is this machine."""
    reach = Reach("", Trust())
    reach.listeners = listeners
    assert reach.url_for(None, local) == url


@pytest.mark.parametrize(
    ("listeners", "local"), [([PLAIN, NEAR_TLS], "10.0.0.1"), ([TLS], ""), ([], "127.0.0.1")]
)
def test_an_address_that_is_not_known(listeners: list[Listener], local: str) -> None:
    """A host elsewhere can't reach a loopback address, and behind a jump host nobody knows."""
    reach = Reach("", Trust())
    reach.listeners = listeners
    with pytest.raises(Invalid, match="public_url"):
        reach.url_for(None, local)


def test_what_is_said_counts_first() -> None:
    """The address of the request, then the setting."""
    reach = Reach("https://center.example/", Trust())
    assert reach.url_for(None, "") == "https://center.example"
    assert reach.url_for("https://other.example:8443/", "") == "https://other.example:8443"
