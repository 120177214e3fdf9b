"""What a host says of itself. The standard library is enough for it, so it is cheap at start-up."""

import os
import platform
import pwd
import socket
from dataclasses import dataclass
from typing import Final

_SOMEWHERE: Final = "192.0.2.1"
"""An address for documentation: no packet is sent there, the kernel only picks the route."""
_DISCARD_PORT: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The host as its owner knows it. `runs_as` is the agent's user; empty text is what can't be told."""

    hostname: str
    os: str
    os_family: str
    kernel: str
    architecture: str
    ip: str
    python: str
    cpus: int
    memory_bytes: int
    runs_as: str


def read_facts(peer: str | None = None) -> HostFacts:
    """Look at this host. `peer` is an IP address that the host's own address is to be seen from.

    Reads a few files; a peer given as a name would block, so it must be an address.
    """
    return HostFacts(
        hostname=socket.gethostname(),
        os=os_name(),
        os_family=platform.system().lower(),
        kernel=platform.release(),
        architecture=platform.machine(),
        ip=address_towards(peer or _SOMEWHERE) or first_address(),
        python=platform.python_version(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        runs_as=own_name(),
    )


def os_name() -> str:
    """Return the distribution's name as it calls itself, such as `Debian GNU/Linux 12 (bookworm)`."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def own_name() -> str:
    """Return the name of the user that runs this process, or the number of one without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def address_towards(peer: str) -> str:
    """Return the address this host uses towards `peer` (an IP address); empty when there is no route."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect((peer, _DISCARD_PORT))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def first_address() -> str:
    """Return the first address that is not only local, IPv4 before IPv6; empty when there is none."""
    import psutil  # noqa: PLC0415 - only a host without a route needs it, and the daemon stays light

    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in {socket.AF_INET, socket.AF_INET6}
        and not address.address.startswith(("127.", "::1", "fe80:", "169.254."))
    ]
    return min(found, key=lambda address: ":" in address, default="")
