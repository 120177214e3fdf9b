"""The network cards of this host."""

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path
from typing import Final

import psutil

_SIOCGIFADDR: Final = 0x8915
_REQUEST: Final = struct.Struct("16s24x")
_ADDRESS: Final = slice(20, 24)
_INET6: Final = Path("/proc/net/if_inet6")


def address_of(card: str) -> str:
    """Return a card's address, IPv4 before IPv6; empty when it has none, or is not there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, _REQUEST.pack(card.encode()))
        except OSError:
            return _inet6_of(card)
    return socket.inet_ntoa(answer[_ADDRESS])


def _inet6_of(card: str) -> str:
    try:
        lines = _INET6.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        digits, _, _, _, _, name = line.split()
        address = ipaddress.IPv6Address(int(digits, 16))
        if name == card and not address.is_link_local:
            return str(address)
    return ""


def has_network() -> bool:
    """Tell whether a card that leads out of this host is up, connected, and has an address."""
    running = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return any(
        name in running and any(_leads_out(address.address) for address in addresses)
        for name, addresses in psutil.net_if_addrs().items()
    )


def _leads_out(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False  # the address of the card itself
    # One that a card gives itself while it waits for another.
    return not address.is_loopback and not address.is_link_local
