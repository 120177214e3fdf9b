"""The identity program: `python -m outrider.agent.identity FOLDER`, `... sign FOLDER`, `... prove FOLDER`.

The first makes the host's key pair unless it is there. The second reads bytes on its standard input and
writes their signature (ECDSA with SHA-256) as base64. The third makes the key pair if need be, reads a claim
(JSON) and writes the signature of the proof that it stands for. This is the only place on a host that loads
the cryptography library.
"""

from __future__ import annotations

import base64
import datetime as dt
import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outrider.agent.identity.files import Claim, Identity, IdentityBroken, load
from outrider.domain.enrolment import device_id_hex, device_id_of_der, enrolment_proof
from outrider.kit.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

# Peers pin the certificate itself, so its dates say nothing; and a clock may be decades off at a first start.
_NOT_BEFORE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_NOT_AFTER = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
_MAX_DATA = 64 * 1024


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments ask; 0 when done, 1 with the reason on standard error, 2 when misused."""
    try:
        match arguments:
            case ["sign", folder]:
                _sign(Path(folder))
            case ["prove", folder]:
                _prove(Path(folder))
            case [folder]:
                _make(Path(folder))
            case _:
                sys.stderr.write("usage: python -m outrider.agent.identity [sign|prove] FOLDER\n")
                return 2
    except (IdentityBroken, OSError, msgspec.DecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Two first starts at once must end with one identity.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if load(folder) is None:
            _write(folder, ec.generate_private_key(ec.SECP256R1()))
    finally:
        os.close(descriptor)


def _write(folder: Path, key: ec.EllipticCurvePrivateKey) -> None:
    der = _public_der(key)
    device_id = device_id_of_der(der)
    identity = Identity(
        device_id=device_id,
        device_id_hex=device_id_hex(device_id),
        public_key=base64.b64encode(der).decode("ascii"),
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = _certificate(key, device_id).public_bytes(serialization.Encoding.PEM)
    write_atomically(folder / "identity.key", private, mode=0o600)
    write_atomically(folder / "identity.pem", certificate, mode=0o644)
    # Last: only with this file is there an identity, so a crash before it leaves none.
    write_atomically(folder / "identity.json", msgspec.json.encode(identity) + b"\n", mode=0o644)


def _certificate(key: ec.EllipticCurvePrivateKey, device_id: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id)])
    public_key = key.public_key()
    both_sides = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_sides), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key), critical=False)
        .sign(key, SHA256())
    )


def _prove(folder: Path) -> None:
    claim = msgspec.json.decode(_read_input(), type=Claim)
    _make(folder)
    identity, key = _keys(folder)
    _answer(key, enrolment_proof(identity.device_id, claim.agent_key_hash, claim.enrolment_key_id))


def _sign(folder: Path) -> None:
    _, key = _keys(folder)
    _answer(key, _read_input())


def _keys(folder: Path) -> tuple[Identity, ec.EllipticCurvePrivateKey]:
    identity = load(folder)
    if identity is None:
        raise IdentityBroken(f"there is no identity in {folder}")
    key = _read_key(folder / "identity.key")
    if base64.b64encode(_public_der(key)).decode("ascii") != identity.public_key:
        raise IdentityBroken(f"{folder / 'identity.key'} is not the key that identity.json speaks of")
    return identity, key


def _read_input() -> bytes:
    data = sys.stdin.buffer.read(_MAX_DATA + 1)
    if len(data) > _MAX_DATA:
        raise IdentityBroken(f"more than {_MAX_DATA} bytes to sign")
    return data


def _answer(key: ec.EllipticCurvePrivateKey, data: bytes) -> None:
    signature = key.sign(data, ec.ECDSA(SHA256()))
    sys.stdout.write(base64.b64encode(signature).decode("ascii") + "\n")


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise IdentityBroken(f"others may read {path}: close it with: chmod 600 {path}")
        pem = file.read(_MAX_DATA)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise IdentityBroken(f"{path} holds no private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityBroken(f"{path} holds no ECDSA key")
    return key


def _public_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
