"""How hosts see this center: by which address, and whose certificate vouches for it."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
import psutil

from outrider.center.settings import Address

_NOWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that documents are about: to ask for the way there sends nothing."""
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class Listening(Protocol):
    """Something that the center listens with."""

    @property
    def name(self) -> str:
        """Its name, with `https` in it when it is over TLS."""
        ...

    @property
    def address(self) -> Address:
        """Where it listens, with its real port once it does."""
        ...


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The address hosts are told, or empty with a note that says why there is none."""

    url: str
    note: str = ""


class Outward:
    """Knows what to tell hosts. `listeners` are given once they are made."""

    def __init__(self, public_url: str, authority_pem: bytes) -> None:
        """Take the setting, and the center's own authorities as PEM: empty where the system's do."""
        self._public_url = public_url.rstrip("/")
        self.authority_pem = authority_pem.decode("ascii")
        self.listeners: Sequence[Listening] = ()

    def of_a_host(self, asked: str) -> str:
        """The address for a host that has just reached the center at `asked` (scheme, name, port)."""
        return self._public_url or asked.rstrip("/")

    def of_any_host(self) -> Seen:
        """The address for hosts that are still to come."""
        if self._public_url:
            return Seen(url=self._public_url)
        over_tls = [each.address for each in self.listeners if "https" in each.name]
        if not over_tls:
            return Seen(
                url="",
                note="This center is reached from its own machine alone. For other hosts start it with "
                "OUTRIDER_TLS_LISTEN=0.0.0.0:8443, or set OUTRIDER_PUBLIC_URL to the address of a proxy that "
                "adds TLS.",
            )
        address = over_tls[0]
        if address.is_loopback:
            return Seen(url=address.url("https"), note="This address is reached from this machine alone.")
        if address.host not in _WILDCARDS:
            return Seen(url=address.url("https"))
        own = _own_address()
        if not own:
            return Seen(url="", note="This machine has no network: set OUTRIDER_PUBLIC_URL.")
        return Seen(
            url=Address(own, address.port).url("https"),
            note="Where hosts reach this center by another address, set OUTRIDER_PUBLIC_URL.",
        )

    def trusted_by(self, url: str) -> str:
        """The authorities, as PEM, that vouch for the center at `url`; empty: the system's, or none."""
        return self.authority_pem if url.startswith("https:") else ""


def _own_address() -> str:
    """The address by which this machine reaches others; empty without a network."""
    for family, nowhere in _NOWHERE:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((nowhere, 9))
            except OSError:
                continue
            own: str = probe.getsockname()[0]
            return own
    return next(filter(None, map(_of_card, psutil.net_if_addrs().values())), "")


def _of_card(addresses: Sequence[object]) -> str:
    for each in addresses:
        text = str(getattr(each, "address", "")).partition("%")[0]
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not address.is_loopback and not address.is_link_local:
            return str(address)
    return ""
