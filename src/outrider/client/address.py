"""Addresses of centers, as people write them and as requests need them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from outrider.domain.errors import Invalid

_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"[0-9a-z._~-]+|[0-9a-f.]*:[0-9a-f:.]*(%[0-9a-z._~-]+)?")
_IN_PATH: Final = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a center is: `scheme` is http or https; `folder` is what its paths begin with, often nothing."""

    scheme: str
    host: str
    port: int
    folder: str = ""

    @property
    def authority(self) -> str:
        """Host and port as a `Host` header has them: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.folder}"


def check_url(url: str, *, allow_plain: bool) -> Address:
    """Read a center's address.

    Raises Invalid for one that can't be used, or that would show secrets to the network.
    """
    try:
        parts = urlsplit(url)
        host = _host_of(parts.hostname or "")
        port = parts.port
    except ValueError as error:
        raise Invalid(f"{url!r} is no address of a center: {error}.", field="url") from None
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise Invalid(
            f"{url!r} is no address of a center: it should read like https://center.example:8443.",
            field="url",
        )
    if parts.scheme == "http" and host not in _LOOPBACK and not host.startswith("127.") and not allow_plain:
        raise Invalid(
            f"{url} is plain HTTP: passwords and tokens would cross the network readable. Use the center's "
            "https address, or allow plain HTTP where the network itself is safe.",
            field="url",
        )
    folder = quote(parts.path.strip("/"), safe=_IN_PATH)
    return Address(
        scheme=parts.scheme,
        host=host,
        port=_PORTS[parts.scheme] if port is None else port,
        folder=f"/{folder}" if folder else "",
    )


def _host_of(name: str) -> str:
    """A name in other letters than ours, as name servers and certificates have it."""
    return name if name.isascii() else name.encode("idna").decode("ascii")
