"""By which address a host reaches its center, and how it recognises it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Protocol

import msgspec

from outrider.center.settings import Address
from outrider.domain.errors import Invalid


class Listening(Protocol):
    """An address that the center serves."""

    @property
    def address(self) -> Address:
        """Where it listens; once it does, with its real port."""
        ...

    @property
    def is_secure(self) -> bool:
        """Whether over TLS."""
        ...


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What a host has to know to recognise its center; both are empty where the system's CAs vouch for it."""

    ca_pem: str = ""
    pins: tuple[str, ...] = ()


class Reach:
    """Knows the center's addresses. `listeners` are told once they are made."""

    def __init__(self, public_url: str, trust: Trust) -> None:
        """Take the address that people and agents use, where one is set."""
        self._public_url = public_url.rstrip("/")
        self.trust = trust
        self.listeners: Sequence[Listening] = ()

    def url_for(self, asked: str | None, local_address: str) -> str:
        """Choose the center's address for a host: the one asked for, `public_url`, or one of our own.

        `local_address` is ours as the host sees it, empty when a jump host is in between. Raises Invalid when
        none is known that the host could reach.
        """
        if asked or self._public_url:
            return (asked or self._public_url).rstrip("/")
        for listener in sorted(self.listeners, key=lambda each: not each.is_secure):
            host = _as_seen(listener.address, local_address)
            if host and (listener.is_secure or Address(host, 0).is_loopback):
                return Address(host, listener.address.port).url("https" if listener.is_secure else "http")
        raise Invalid(
            "By which address the host reaches this center is not known: set public_url, or give center_url. "
            "For hosts elsewhere tls_listen has to be set, too.",
            field="center_url",
        )


def _as_seen(listening: Address, local_address: str) -> str:
    """Return the address of a listener that a host can reach, which sees us as `local_address`."""
    if not local_address:
        return ""
    is_near = ipaddress.ip_address(local_address.partition("%")[0]).is_loopback
    if listening.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return local_address
    if listening.is_loopback:
        return listening.host if is_near else ""
    return listening.host
