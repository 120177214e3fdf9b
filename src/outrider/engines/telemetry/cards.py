"""The network cards of this host.

Asked of the kernel itself rather than with psutil, which would be a megabyte in every idle daemon.
"""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFADDR: Final = 0x8915
_UP_AND_CONNECTED: Final = 0x1 | 0x40
_REQUEST: Final = struct.Struct("16s24x")
_FLAGS: Final = struct.Struct("16xH")
_ADDRESS: Final = slice(20, 24)
_INET6: Final = Path("/proc/net/if_inet6")


def address_of(card: str) -> str:
    """Return a card's address, IPv4 before IPv6; empty when it has none, or is not there."""
    found = [address for address in addresses_of(card) if not address.is_link_local]
    return str(found[0]) if found else ""


def addresses_of(card: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Give a card's first IPv4 address and all of IPv6; nothing for one that is not there."""
    # Without an address of IPv4 the kernel answers with an error.
    with suppress(OSError):
        yield ipaddress.IPv4Address(_asked(_SIOCGIFADDR, card)[_ADDRESS])
    with suppress(OSError):
        for line in _INET6.read_text(encoding="ascii", errors="replace").splitlines():
            digits, _, _, _, _, name = line.split()
            if name == card:
                yield ipaddress.IPv6Address(int(digits, 16))


def has_network() -> bool:
    """Tell whether a card that leads out of this host is up, connected, and has an address."""
    return any(
        is_connected(name) and any(_leads_out(address) for address in addresses_of(name))
        for _, name in socket.if_nameindex()
    )


def is_connected(card: str) -> bool:
    """Tell whether a card is up and its cable, or what stands for one, is in."""
    try:
        (flags,) = _FLAGS.unpack_from(_asked(_SIOCGIFFLAGS, card))
    except OSError:
        return False
    return bool(flags & _UP_AND_CONNECTED == _UP_AND_CONNECTED)


def _asked(request: int, card: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        return fcntl.ioctl(probe, request, _REQUEST.pack(card.encode()))


def _leads_out(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # One that a card gives itself while it waits for another leads nowhere.
    return not address.is_loopback and not address.is_link_local
