"""X.509 as the center uses it: names, keys, the three kinds of certificate it makes. No files, no clock."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outrider.domain.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

_CA_LIFE = dt.timedelta(days=3650)
# Clocks of hosts may be behind: a certificate is valid from a day before it was made.
_BACKDATE = dt.timedelta(days=1)
# Clients refuse server certificates that are valid for more than 398 days.
_SERVER_LIFE = dt.timedelta(days=397) - _BACKDATE
_MAX_COMMON_NAME = 64
_MAX_HOST_NAME = 253
_HOST_NAME = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*",
    re.ASCII,
)


class CertificateRefused(OutriderError):
    """A certificate, key or host name the center can't work with. The detail names it and the remedy."""

    code = "certificate_refused"


def normal_names(names: Collection[str]) -> frozenset[str]:
    """Names as they stand in a certificate: lower case, IDNA, addresses in their shortest form.

    Raises CertificateRefused for a text that is neither a host name nor an address.
    """
    return frozenset(_normal_name(name) for name in names)


def make_authority(key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    """Make a self-signed certificate authority that holds from a day ago for ten years."""
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Two authorities must not share a name: a client would have to guess which one signed.
    name = _name(f"Outrider CA {key_id.digest.hex()[:12]}")
    builder = _authority_builder(name, key.public_key(), name, key.public_key())
    return builder.not_valid_before(now - _BACKDATE).not_valid_after(now + _CA_LIFE).sign(key, SHA256())


def cross_sign(
    certificate: x509.Certificate,
    old_key: ec.EllipticCurvePrivateKey,
    old: x509.Certificate,
    now: dt.datetime,
) -> x509.Certificate:
    """Make the certificate by which an older authority vouches for a new one."""
    builder = _authority_builder(certificate.subject, _ec_key(certificate), old.subject, old_key.public_key())
    end = min(certificate.not_valid_after_utc, old.not_valid_after_utc)
    return builder.not_valid_before(now - _BACKDATE).not_valid_after(end).sign(old_key, SHA256())


def make_server(
    key: ec.EllipticCurvePrivateKey,
    names: frozenset[str],
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    now: dt.datetime,
) -> x509.Certificate:
    """Make a server certificate for these (normal) names; it never outlives its authority."""
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in sorted(names)])
    common_name = min((name for name in names if len(name) <= _MAX_COMMON_NAME), default="outrider center")
    return (
        _builder(_name(common_name), key.public_key(), issuer.subject, _ec_key(issuer))
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(min(now + _SERVER_LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(alternatives, critical=False)
        .sign(issuer_key, SHA256())
    )


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key signed this certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make an ECDSA P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def load_key(bundle: bytes) -> ec.EllipticCurvePrivateKey:
    """Read the ECDSA key in a bundle we wrote. Raises CertificateRefused."""
    key = serialization.load_pem_private_key(bundle, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateRefused("the sealed key is not an ECDSA key")
    return key


def key_pem(key: PrivateKeyTypes) -> bytes:
    """The key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_der(key: PublicKeyTypes) -> bytes:
    """The public key as SPKI DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem_of(certificates: Sequence[x509.Certificate]) -> bytes:
    """The certificates as PEM, in this order."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def der_of(certificate: x509.Certificate) -> bytes:
    """The certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def read_certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    """Read every certificate of a PEM text from `path`. Raises CertificateRefused if there is none."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateRefused(f"{path} holds no certificate in PEM") from None


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The DNS names (lower case) and IP addresses a certificate is for."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(
        [name.lower() for name in alternatives.get_values_for_type(x509.DNSName)]
        + [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]
    )


def _normal_name(name: str) -> str:
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return _normal_host_name(name)
    # A zone names a network card of one machine; no certificate can hold it.
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise CertificateRefused(f"{name!r} is neither a host name nor an IP address")
    return str(address)


def _normal_host_name(name: str) -> str:
    try:
        ascii_name = (
            name.rstrip(".").encode("idna" if not name.isascii() else "ascii").decode("ascii").lower()
        )
    except UnicodeError:
        ascii_name = ""
    if len(ascii_name) > _MAX_HOST_NAME or not _HOST_NAME.fullmatch(ascii_name):
        raise CertificateRefused(f"{name!r} is neither a host name nor an IP address")
    return ascii_name


def _authority_builder(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    # A path length of 1 leaves room for the one cross-signed authority of a rotation.
    return (
        _builder(subject, public_key, issuer, issuer_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )


def _builder(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _ec_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CertificateRefused("the authority's certificate does not hold an ECDSA key")
    return key
