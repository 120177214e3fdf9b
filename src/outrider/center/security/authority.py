"""The center's certificates: its own certificate authority, or a certificate the owner supplies.

Files in the authority's folder:

    ca.key.sealed      the authority, whole: private key and certificate, sealed. The one truth
    ca.pem             a public copy of its certificate
    ca.previous.pem    the authority before a rotation; hosts that trust only this one still reach the center
    server.key.sealed  the server's private key and certificate chain, sealed
    server.pem         a public copy of the chain

A pair that must agree is one sealed file, so that no crash can leave half of it; public copies are written
again from it when they are missing or stale.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from outrider.center.security.certificates import (
    CertificateRefused,
    cross_sign,
    der_of,
    is_issued_by,
    key_pem,
    load_key,
    make_authority,
    make_server,
    names_of,
    new_key,
    normal_names,
    pem_of,
    public_der,
    read_certificates,
)
from outrider.center.security.folder_lock import folder_lock
from outrider.domain.enrolment import pin_of
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from outrider.center.security.sealing import Sealer

_RENEW_BEFORE = dt.timedelta(days=30)
_MAX_FILE = 256 * 1024
_CA_CONTEXT = "outrider certificate authority"
_SERVER_CONTEXT = "outrider server certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """What the TLS listener shows: a chain, leaf first, and the leaf's private key."""

    chain: bytes
    """PEM, leaf first, then what a client needs to reach the authority it trusts."""
    key: bytes = field(repr=False)
    """PEM (PKCS #8), not encrypted: it stays in memory."""
    not_after: dt.datetime
    """When the leaf ends; with a time zone."""
    names: frozenset[str]
    """DNS names (lower case) and IP addresses the leaf is for."""

    def uncovered(self, names: Collection[str]) -> frozenset[str]:
        """Those of the names a client could not reach this server under. Wildcards cover one label."""
        return frozenset(
            name
            for name in normal_names(names)
            if name not in self.names and f"*.{name.partition('.')[2]}" not in self.names
        )

    def server_context(self) -> ssl.SSLContext:
        """A context for the TLS listener: TLS 1.2 and newer, HTTP/1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # Agents open one link and keep it: tickets for a next one cost each handshake and are never used.
        context.num_tickets = 0
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a context show this certificate from now on. Raises ssl.SSLError for a key of another one."""
        # ssl reads certificates from files only; this one lives in memory and has no name on any disk.
        descriptor = os.memfd_create("outrider-server-key")
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.key + self.chain)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")


class Authority(Protocol):
    """Where the center's certificate comes from and what hosts trust for it."""

    def pins(self) -> frozenset[str]:
        """The pins that go into enrolment keys; empty when hosts are to trust their system's authorities."""
        ...

    def chain_pem(self) -> bytes:
        """The certificates behind `pins`, newest first, as PEM: the answer of `GET /api/ca`. May be empty."""
        ...

    def issue_server(self, names: Collection[str]) -> ServerCertificate:
        """The certificate to serve under these names."""
        ...


class CertificateAuthority:
    """The center's own certificate authority. Blocks on files: use it off the event loop."""

    def __init__(
        self,
        folder: Path,
        sealer: Sealer,
        clock_time: Callable[[], float],
        *,
        key: EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        cross: x509.Certificate | None,
        previous: x509.Certificate | None,
    ) -> None:
        """Hold the parts; `load_or_create` and `rotate` are the ways to get one."""
        self._folder = folder
        self._sealer = sealer
        self._clock_time = clock_time
        self._key = key
        self._certificate = certificate
        self._cross = cross
        self._previous = previous

    @classmethod
    def load_or_create(
        cls, folder: Path, sealer: Sealer, clock_time: Callable[[], float]
    ) -> CertificateAuthority:
        """Open the authority in this folder, or make one (ECDSA P-256, ten years) when there is none.

        `clock_time` gives unix seconds. Raises SealBroken under another master key and CertificateRefused
        when the files contradict each other, saying what to do; neither ever replaces an authority that hosts
        trust.
        """
        with folder_lock(folder):
            sealed = _read(folder / "ca.key.sealed")
            if sealed is not None:
                return cls._open(folder, sealer, clock_time, sealed)
            if (folder / "ca.pem").exists():
                raise CertificateRefused(
                    f"hosts trust {folder / 'ca.pem'}, but {folder / 'ca.key.sealed'} is gone: put it back "
                    "from a backup, or remove ca.pem to make a new one and enrol every host again",
                )
            key = new_key()
            certificate = make_authority(key, _now(clock_time))
            _write_authority(folder, sealer, key, [certificate])
        return cls(folder, sealer, clock_time, key=key, certificate=certificate, cross=None, previous=None)

    @classmethod
    def _open(
        cls, folder: Path, sealer: Sealer, clock_time: Callable[[], float], sealed: bytes
    ) -> CertificateAuthority:
        bundle = sealer.unseal(sealed, context=_CA_CONTEXT)
        certificate, *cross = x509.load_pem_x509_certificates(bundle)
        if not sealer.is_current(sealed):
            write_atomically(folder / "ca.key.sealed", sealer.seal(bundle, context=_CA_CONTEXT), mode=0o600)
        previous = _read(folder / "ca.previous.pem")
        _refresh_copy(folder / "ca.pem", pem_of([certificate]))
        return cls(
            folder,
            sealer,
            clock_time,
            key=load_key(bundle),
            certificate=certificate,
            cross=cross[0] if cross else None,
            previous=None if previous is None else read_certificates(previous, folder / "ca.previous.pem")[0],
        )

    def rotate(self) -> CertificateAuthority:
        """Make a new authority that takes over from this one, and return it.

        The old one becomes `ca.previous.pem`: it stays pinned and served, and it vouches for the new one (a
        cross-signed certificate in the server's chain), so hosts that trust only the old one still reach the
        center. Remove `ca.previous.pem` once every host has the new one. One before that is forgotten.
        """
        with folder_lock(self._folder):
            now = _now(self._clock_time)
            key = new_key()
            certificate = make_authority(key, now)
            cross = cross_sign(certificate, self._key, self._certificate, now)
            write_atomically(self._folder / "ca.previous.pem", pem_of([self._certificate]), mode=0o644)
            _write_authority(self._folder, self._sealer, key, [certificate, cross])
        return CertificateAuthority(
            self._folder,
            self._sealer,
            self._clock_time,
            key=key,
            certificate=certificate,
            cross=cross,
            previous=self._certificate,
        )

    @property
    def not_after(self) -> dt.datetime:
        """When this authority ends; rotate it well before."""
        return self._certificate.not_valid_after_utc

    def pins(self) -> frozenset[str]:
        """The pins of this authority and of the one before it."""
        return frozenset(pin_of(der_of(certificate)) for certificate in self._authorities())

    def chain_pem(self) -> bytes:
        """The certificates behind `pins`, newest first, as PEM."""
        return pem_of(self._authorities())

    def issue_server(self, names: Collection[str]) -> ServerCertificate:
        """A server certificate for these DNS names and IP addresses, valid for 397 days at most.

        The stored one is used again while it is for exactly these names, comes from this authority and has
        more than 30 days left. Raises CertificateRefused for a text that is neither a host name nor an
        address.
        """
        wanted = normal_names(names)
        if not wanted:
            raise CertificateRefused("a server certificate needs at least one name")
        with folder_lock(self._folder):
            return self._stored_server(wanted) or self._new_server(wanted)

    def _authorities(self) -> list[x509.Certificate]:
        if self._previous is None or self._previous == self._certificate:
            return [self._certificate]
        return [self._certificate, self._previous]

    def _intermediates(self) -> list[x509.Certificate]:
        return [self._cross] if self._cross and self._previous else []

    def _stored_server(self, names: frozenset[str]) -> ServerCertificate | None:
        sealed = _read(self._folder / "server.key.sealed")
        if sealed is None:
            return None
        bundle = self._sealer.unseal(sealed, context=_SERVER_CONTEXT)
        leaf, *intermediates = x509.load_pem_x509_certificates(bundle)
        stored = _server_certificate(load_key(bundle), [leaf, *intermediates])
        if (
            stored.names != names
            or intermediates != self._intermediates()
            or leaf.not_valid_after_utc - _now(self._clock_time) <= _RENEW_BEFORE
            or not is_issued_by(leaf, self._certificate)
        ):
            return None
        _refresh_copy(self._folder / "server.pem", stored.chain)
        return stored

    def _new_server(self, names: frozenset[str]) -> ServerCertificate:
        key = new_key()
        leaf = make_server(key, names, self._key, self._certificate, _now(self._clock_time))
        made = _server_certificate(key, [leaf, *self._intermediates()])
        sealed = self._sealer.seal(made.key + made.chain, context=_SERVER_CONTEXT)
        write_atomically(self._folder / "server.key.sealed", sealed, mode=0o600)
        write_atomically(self._folder / "server.pem", made.chain, mode=0o644)
        return made


class SuppliedCertificate:
    """An authority in name: the owner's certificate, served as it is."""

    def __init__(self, server: ServerCertificate, authorities: Sequence[x509.Certificate]) -> None:
        """Hold what `load_supplied` read."""
        self._server = server
        self._authorities = authorities

    def pins(self) -> frozenset[str]:
        """The pins of the authorities the owner named; none where hosts trust their system's."""
        return frozenset(pin_of(der_of(certificate)) for certificate in self._authorities)

    def chain_pem(self) -> bytes:
        """The certificates behind `pins` as PEM."""
        return pem_of(self._authorities)

    def issue_server(self, names: Collection[str]) -> ServerCertificate:
        """The owner's certificate, whatever names it is for: ask it for those left `uncovered`."""
        return self._server


def load_supplied(
    cert_path: Path, key_path: Path, ca_path: Path | None, *, clock_time: Callable[[], float]
) -> SuppliedCertificate:
    """Read the owner's certificate chain and key, and the authorities hosts shall pin for it, if any.

    Raises CertificateRefused, naming the file, when one can't be read, the key does not fit or is encrypted,
    or the certificate is not valid now.
    """
    chain = read_certificates(_must_read(cert_path), cert_path)
    authorities = [] if ca_path is None else read_certificates(_must_read(ca_path), ca_path)
    try:
        key = serialization.load_pem_private_key(_must_read(key_path), password=None)
    except TypeError:
        raise CertificateRefused(
            f"{key_path} is encrypted: the center needs it without a passphrase"
        ) from None
    except ValueError:
        raise CertificateRefused(f"{key_path} holds no private key in PEM") from None
    leaf = chain[0]
    if public_der(key.public_key()) != public_der(leaf.public_key()):
        raise CertificateRefused(f"the key {key_path} does not belong to the certificate {cert_path}")
    if not leaf.not_valid_before_utc <= _now(clock_time) <= leaf.not_valid_after_utc:
        raise CertificateRefused(
            f"{cert_path} is valid from {leaf.not_valid_before_utc} to {leaf.not_valid_after_utc}: not now",
        )
    return SuppliedCertificate(_server_certificate(key, chain), authorities)


def _server_certificate(key: PrivateKeyTypes, chain: Sequence[x509.Certificate]) -> ServerCertificate:
    return ServerCertificate(
        chain=pem_of(chain),
        key=key_pem(key),
        not_after=chain[0].not_valid_after_utc,
        names=names_of(chain[0]),
    )


def _write_authority(
    folder: Path, sealer: Sealer, key: EllipticCurvePrivateKey, certificates: Sequence[x509.Certificate]
) -> None:
    sealed = sealer.seal(key_pem(key) + pem_of(certificates), context=_CA_CONTEXT)
    write_atomically(folder / "ca.key.sealed", sealed, mode=0o600)
    write_atomically(folder / "ca.pem", pem_of(certificates[:1]), mode=0o644)


def _refresh_copy(path: Path, content: bytes) -> None:
    if _read(path) != content:
        write_atomically(path, content, mode=0o644)


def _read(path: Path) -> bytes | None:
    try:
        return read_bounded(path, _MAX_FILE)
    except FileNotFoundError:
        return None


def _must_read(path: Path) -> bytes:
    try:
        return read_bounded(path, _MAX_FILE)
    except (OSError, FileTooLarge) as error:
        raise CertificateRefused(f"can't read {path}: {error}") from error


def _now(clock_time: Callable[[], float]) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(clock_time()), dt.UTC)
