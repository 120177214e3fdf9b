"""Which machine this is, and which of its boots."""

import array
import fcntl
import hashlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GPERMADDR: Final = 0x20
_PERM_ADDR: Final = struct.Struct("=II")
_MAX_ADDRESS: Final = 32
_NAME_BYTES: Final = 15


def boot_id() -> str:
    """Return the kernel's id of this boot. Raises OSError where /proc is not there."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def permanent_address(card: str) -> str:
    """Return the address burnt into a network card, as hex; empty when it has none or does not say.

    The address in use may differ: bonds, bridges and privacy settings change it.
    """
    request = array.array("B", _PERM_ADDR.pack(_ETHTOOL_GPERMADDR, _MAX_ADDRESS) + bytes(_MAX_ADDRESS))
    ifreq = struct.pack("16sP8x", card.encode()[:_NAME_BYTES], request.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCETHTOOL, ifreq)
        except OSError:
            return ""
    answer = request.tobytes()
    size = min(_PERM_ADDR.unpack_from(answer)[1], _MAX_ADDRESS)
    address = answer[_PERM_ADDR.size : _PERM_ADDR.size + size]
    return address.hex() if any(address) else ""


def machine_digest(root: Path = _ROOT, address_of: Callable[[str], str] = permanent_address) -> str:
    """Return a hex digest of what a copied disk does not share with its source.

    Machine id, product uuid (where it can be read) and the permanent addresses of built-in network cards. The
    same at every start and boot of one machine by one user. `root` is where /etc and /sys are found.
    """
    digest = hashlib.sha256()
    for fact in _facts(root, address_of):
        digest.update(fact.encode() + b"\n")
    return digest.hexdigest()


def _facts(root: Path, address_of: Callable[[str], str]) -> Iterator[str]:
    yield f"machine-id={_line(root / 'etc/machine-id')}"
    yield f"product-uuid={_line(root / 'sys/class/dmi/id/product_uuid').lower()}"
    for address in sorted(filter(None, map(address_of, _built_in_cards(root / "sys/class/net")))):
        yield f"address={address}"


def _built_in_cards(cards: Path) -> Iterator[str]:
    """Walk the cards that are hardware: bridges, tunnels and containers' links come and go, so does USB."""
    if not cards.is_dir():
        return
    for card in cards.iterdir():
        device = card / "device"
        if device.exists() and not any(part.startswith("usb") for part in device.resolve().parts):
            yield card.name


def _line(file: Path) -> str:
    """Return a file's text, empty when it is missing or not ours to read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
