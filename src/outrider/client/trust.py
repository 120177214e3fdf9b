"""How a client knows that a center is the one it means.

A center has a certificate authority of its own, known by its pin, or a certificate that the system's
authorities vouch for. A pin alone is enough to start from: the authority itself is then asked for over a
connection nobody has proven yet, and taken only if it has that pin.
"""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from outrider.domain.enrolment import pin_of
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Collection

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Authority:
    """One certificate of an authority: its PEM and its pin."""

    pem: str
    pin: str


def read_authorities(pem: str) -> list[Authority]:
    """Read the certificates in a PEM text, in their order. Raises Invalid for one that is broken."""
    authorities = []
    for block in _CERTIFICATE.findall(pem):
        try:
            der = base64.b64decode("".join(block.splitlines()[1:-1]), validate=True)
        except ValueError:
            raise Invalid(
                "A certificate in the authority's PEM text is broken: was it copied whole?"
            ) from None
        authorities.append(Authority(pem=block + "\n", pin=pin_of(der)))
    return authorities


def pinned(authorities: Collection[Authority], pins: Collection[str]) -> str:
    """The PEM of those authorities whose pin is among `pins`; empty when none is."""
    return "".join(authority.pem for authority in authorities if authority.pin in pins)


def verified_context(authority_pem: str | None) -> ssl.SSLContext:
    """A context that trusts this authority alone (None: the system's), with the host name checked.

    Raises Invalid when the PEM text holds no certificate that can be used.
    """
    if authority_pem is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cadata=authority_pem)
    except (ssl.SSLError, ValueError) as error:
        raise Invalid(f"The authority's certificate can't be used: {error}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def unverified_context() -> ssl.SSLContext:
    """A context that proves nothing: only for asking a center for its authority, never with a secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
