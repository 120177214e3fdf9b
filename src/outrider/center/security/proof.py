"""Checks at the center that an enrolling agent holds the private key of the identity it claims."""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import load_pem_x509_certificate

from outrider.domain.enrolment import device_id_of_der
from outrider.domain.errors import Invalid

_MAX_PUBLIC_KEY_TEXT = 256
_MAX_SIGNATURE_BYTES = 128
_MAX_CERTIFICATE_TEXT = 8192


class MalformedPublicKey(Invalid):
    """A text that is not base64 of a P-256 public key in its one SPKI DER form."""

    code = "malformed_public_key"


def verify_enrolment(public_key: str, signature: bytes, data: bytes) -> bool:
    """Whether the owner of `public_key` (base64) made this `signature` (ECDSA with SHA-256, DER) over `data`.

    Anything that is malformed is simply not a proof: False.
    """
    if len(signature) > _MAX_SIGNATURE_BYTES:
        return False
    try:
        key, _ = _read_public_key(public_key)
        key.verify(signature, data, ec.ECDSA(SHA256()))
    except (MalformedPublicKey, InvalidSignature):
        return False
    return True


def device_id_of(public_key: str) -> str:
    """The device id of a public key (base64 of its SPKI DER). Raises MalformedPublicKey."""
    _, der = _read_public_key(public_key)
    return device_id_of_der(der)


def is_certificate_of(pem: str, device_id: str) -> bool:
    """Whether a text is one certificate, as PEM, of the key that a device id stands for."""
    if len(pem) > _MAX_CERTIFICATE_TEXT:
        return False
    try:
        certificate = load_pem_x509_certificate(pem.encode("ascii"))
        der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnicodeError, UnsupportedAlgorithm):
        return False
    return device_id_of_der(der) == device_id


def _read_public_key(text: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    if len(text) > _MAX_PUBLIC_KEY_TEXT:
        raise MalformedPublicKey(f"the public key is longer than {_MAX_PUBLIC_KEY_TEXT} characters")
    try:
        der = base64.b64decode(text, validate=True)
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedPublicKey("the public key is not base64 of a DER public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedPublicKey("the public key must be an ECDSA key on P-256")
    # One key must have one device id: a second encoding of the same point would be a second host.
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
        raise MalformedPublicKey("the public key is not in its canonical DER form")
    return key, der
