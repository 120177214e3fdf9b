"""Where the center listens, under which names, and with whose certificate."""

import socket
from pathlib import Path

import psutil

from outrider.center.http.server import Listener
from outrider.center.security.authority import Authority, CertificateAuthority, load_supplied
from outrider.center.security.sealing import Sealer
from outrider.center.settings import Address, CenterSettings, parse_address
from outrider.kit.clock import Clock


def addresses(settings: CenterSettings) -> tuple[Address | None, Address | None]:
    """Read where to listen: plain, and over TLS. Raises ValueError for what is malformed or unsafe."""
    plain = parse_address(settings.listen, "listen") if settings.listen else None
    tls = parse_address(settings.tls_listen, "tls_listen") if settings.tls_listen else None
    if plain is None and tls is None:
        message = "nothing to listen on: set listen or tls_listen"
        raise ValueError(message)
    if plain is not None and not plain.is_loopback and not settings.trusted_proxies:
        message = (
            f"listen is {settings.listen}: plain HTTP is served to this machine only. "
            "Use tls_listen for others, or name the proxy that adds TLS in trusted_proxies"
        )
        raise ValueError(message)
    return plain, tls


def open_authority(settings: CenterSettings, home: Path, clock: Clock, sealer: Sealer) -> Authority:
    """Open what the center's certificate comes from: files that were given, or a CA of its own in `home`."""
    if settings.tls_certificate:
        ca = Path(settings.tls_authority) if settings.tls_authority else None
        return load_supplied(
            Path(settings.tls_certificate), Path(settings.tls_key), ca, clock_time=clock.time
        )
    return CertificateAuthority.load_or_create(home / "ca", sealer, clock.time)


def names(settings: CenterSettings, tls: Address) -> set[str]:
    """Collect every name and address that hosts may reach this center by."""
    found = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
    if not tls.host.startswith(("0.", "::")) and tls.host:
        found.add(tls.host)
    if settings.public_url:
        found.add(settings.public_url.split("//")[-1].split("/")[0].rsplit(":", 1)[0].strip("[]"))
    for interface in psutil.net_if_addrs().values():
        for address in interface:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                found.add(address.address.split("%")[0])
    return found


def url_of(listener: Listener, settings: CenterSettings) -> str:
    """Write the address that people open for a listener."""
    secure = "https" in listener.name
    if settings.public_url and settings.public_url.startswith("https:" if secure else "http:"):
        return settings.public_url.rstrip("/")
    return listener.address.url("https" if secure else "http")
