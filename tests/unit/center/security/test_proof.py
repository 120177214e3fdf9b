"""Enrolment proofs, checked at the center."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.security.proof import MalformedPublicKey, device_id_of, verify_enrolment
from outrider.domain.enrolment import device_id_of_der, enrolment_proof

KEY = ec.derive_private_key(0x0BADC0DE, ec.SECP256R1())
OTHER = ec.derive_private_key(0x0C0FFEE, ec.SECP256R1())
PROOF = enrolment_proof("DEVICE", b"hash", "keyid")


def spki(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """A key's public half as the wire has it, before base64."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def text(der: bytes) -> str:
    """Base64, as on the wire."""
    return base64.b64encode(der).decode()


def test_the_owners_signature_is_a_proof() -> None:
    """Signed by the key it names, over exactly these bytes."""
    signature = KEY.sign(PROOF, ec.ECDSA(SHA256()))
    assert verify_enrolment(text(spki(KEY)), signature, PROOF)
    assert not verify_enrolment(text(spki(OTHER)), signature, PROOF)
    assert not verify_enrolment(text(spki(KEY)), signature, PROOF + b"x")


@given(st.text(max_size=400), st.binary(max_size=200))
def test_rubbish_is_never_a_proof(public_key: str, signature: bytes) -> None:
    """Whatever an outsider sends, the answer is no, never an error."""
    assert not verify_enrolment(public_key, signature, PROOF)
    assert not verify_enrolment(text(spki(KEY)), signature, PROOF)


def test_a_device_id_is_that_of_the_keys_der() -> None:
    """Center and agent name a key alike."""
    assert device_id_of(text(spki(KEY))) == device_id_of_der(spki(KEY))


@pytest.mark.parametrize(
    ("public_key", "said"),
    [
        ("", "not base64 of a DER"),
        ("%%%", "not base64"),
        ("ключ", "not base64"),
        (text(spki(KEY)) + "\n", "not base64"),
        (text(spki(KEY)[:-1]), "not base64 of a DER"),
        ("A" * 300, "longer than"),
        (text(spki(ec.derive_private_key(7, ec.SECP384R1()))), "P-256"),
        (text(spki(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))), "P-256"),
    ],
)
def test_other_texts_are_no_public_keys(public_key: str, said: str) -> None:
    """Each kind of wrong key has its words."""
    with pytest.raises(MalformedPublicKey, match=said):
        device_id_of(public_key)


def test_a_key_has_one_encoding() -> None:
    """The compressed form of the same point is refused: it would be a second device id for one key."""
    point = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    # The head of a P-256 SPKI whose bit string holds 33 bytes.
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    with pytest.raises(MalformedPublicKey, match="canonical"):
        device_id_of(text(head + point))
