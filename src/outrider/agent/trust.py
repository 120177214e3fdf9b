"""How an agent comes to trust its center.

The enrolment key carries pins. With them the agent picks the center's certificate authority out of what an
unverified connection shows, and from then on speaks only over connections that this authority vouches for.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import yarl

from outrider.domain.enrolment import pin_of
from outrider.domain.errors import Invalid, OutriderError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection

_MAX_BODY = 64 * 1024
_CHUNK = 8 * 1024
_FETCH_SECONDS = 30.0
_OK = 200
_SUFFIXES = frozenset({".pem", ".crt"})
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CenterUrlRefused(Invalid):
    """An address of the center that can't be used, or not safely."""

    code = "center_url_refused"


class AuthorityUnavailable(Unavailable):
    """The center did not show its certificate authority; trying again may help."""

    code = "authority_unavailable"


class PinMismatch(OutriderError):
    """The center shows no certificate authority that the enrolment key knows. Trying again does not help."""

    code = "pin_mismatch"


def check_center_url(center_url: str, *, allow_plain: bool = False) -> yarl.URL:
    """Read the center's address; raises CenterUrlRefused for one that must not be used.

    Plain http is for this machine itself; elsewhere only where the owner said so (`allow_plain`), because the
    agent key travels in it.
    """
    try:
        url = yarl.URL(center_url)
        host = url.host
    except ValueError as error:
        raise CenterUrlRefused(f"the center's address {center_url!r} is malformed: {error}") from None
    if url.scheme not in {"http", "https"} or not host:
        raise CenterUrlRefused(f"the center's address must read https://name[:port], not {center_url!r}")
    if url.user is not None or url.password is not None:
        raise CenterUrlRefused("the center's address must not hold a user name or a password")
    if url.scheme == "http" and not allow_plain and not is_loopback(host):
        raise CenterUrlRefused(
            f"{center_url} is not encrypted: use https://, or allow plain http in the agent's settings",
        )
    return url


async def fetch_authority(
    center_url: str, pins: Collection[str], connector: aiohttp.BaseConnector | None = None
) -> bytes:
    """Ask the center for its certificate authorities and return those that are pinned, as PEM.

    Without a `connector` the center is dialled; the connector is closed.

    The connection proves nothing by itself: nothing secret is sent over it, and only the pins decide. Raises
    PinMismatch when none of the certificates is pinned, AuthorityUnavailable when there is no proper answer,
    and ValueError without pins, because then there is nothing to trust.
    """
    if not pins:
        raise ValueError("without pins no certificate authority can be recognised")
    url = check_center_url(center_url, allow_plain=True) / "api" / "ca"
    try:
        body = await _get(url, connector)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise AuthorityUnavailable(f"can't ask {url} for the center's authority: {reason}") from error
    shown = {pin_of(der): der for der in _certificates(body)}
    trusted = [der for pin, der in shown.items() if pin in pins]
    if not trusted:
        raise PinMismatch(
            f"{url} shows the authority {_listed(shown)}, the enrolment key expects {_listed(pins)}. "
            "Either the key is from another center (or from before its authority was replaced: make a new "
            "key there), or somebody sits between this host and the center (then do not go on)",
            expected=sorted(pins),
            seen=sorted(shown),
        )
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in trusted).encode("ascii")


def pins_of(ca_pem: bytes) -> frozenset[str]:
    """Return the pins of the authorities in this text; none for a text that holds no certificate."""
    return frozenset(pin_of(der) for der in _certificates(ca_pem.decode("ascii", "replace")))


def client_context(ca_pem: bytes | None) -> ssl.SSLContext:
    """A context for connections to the center that trusts these authorities alone and checks the name.

    None trusts the system's authorities, for a center whose enrolment keys carry no pins. Raises ssl.SSLError
    when the text holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if ca_pem is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    return context


def known_context(center_ca: Path, authorities: str) -> ssl.SSLContext:
    """A context that trusts the authority in the file `center_ca`, where there is none the system's.

    The certificates in the folder `authorities` vouch for the center beside them; empty for none. Raises
    OSError, also ssl.SSLError, for what can't be read; blocks.
    """
    context = client_context(center_ca.read_bytes()[:_MAX_BODY] if center_ca.exists() else None)
    add_authorities(context, authorities)
    return context


def add_authorities(context: ssl.SSLContext, folder: str) -> None:
    """Trust the certificates in a folder, too; empty for none. Raises OSError; blocks."""
    if folder:
        for file in sorted(Path(folder).iterdir()):
            if file.suffix in _SUFFIXES:
                context.load_verify_locations(file)


def show(context: ssl.SSLContext, identity: Path) -> None:
    """Have a context show the certificate of this host's key, once there is one, to a center that asks.

    Raises OSError, also ssl.SSLError, for files that can't be read; blocks.
    """
    if not (identity / "identity.json").exists():
        return
    context.load_cert_chain(identity / "identity.pem", identity / "identity.key")


async def _get(url: yarl.URL, connector: aiohttp.BaseConnector | None) -> str:
    timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
    # Unpacking would let a small answer grow without bound, and a redirect would ask somebody else.
    async with (
        aiohttp.ClientSession(timeout=timeout, auto_decompress=False, connector=connector) as session,
        session.get(
            url, ssl=unverified_context(), allow_redirects=False, headers={"Accept-Encoding": "identity"}
        ) as response,
    ):
        if response.status != _OK:
            raise AuthorityUnavailable(f"{url} answered {response.status}: is an Outrider center there?")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > _MAX_BODY:
                raise AuthorityUnavailable(f"{url} answered more than {_MAX_BODY} bytes: that is no center")
        return body.decode("ascii", "replace")


def unverified_context() -> ssl.SSLContext:
    """A context that takes anybody for the center: for `fetch_authority`, where only the pins decide."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _certificates(text: str) -> list[bytes]:
    return [der for block in _CERTIFICATE.findall(text) if (der := _der(block))]


def _der(block: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(block)
    except ValueError:
        return b""


def _listed(pins: Collection[str]) -> str:
    return " and ".join(sorted(pins)) or "nothing that reads as a certificate"


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
