"""The words of enrolment: enrolment keys, agent keys, pins, device ids, and the bytes an agent signs.

Everything here is a value or a pure rule. Both ends of an enrolment use it, so that what an agent writes is
what the center reads. Secrets are compared in constant time and stay out of `repr`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_ENROLMENT_PREFIX = "oek_"
_AGENT_PREFIX = "oak_"
_PROOF_CONTEXT = b"outrider enrolment 1\0"

_SECRET_BYTES = 32
_ID_LENGTH = 12
_ID_ALPHABET = string.ascii_lowercase + string.digits
_MAX_PINS = 8
_MAX_TEXT = 1024

_ID = re.compile(r"[a-z0-9]{8,32}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9_-]{22,86}", re.ASCII)
_PIN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_AGENT_SECRET = _PIN


class MalformedEnrolmentKey(ValueError):
    """A text that is no enrolment key. The message says which part is wrong and never repeats the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentKey:
    """The secret that lets a new agent ask to join.

    As text: `oek_<id>_<secret>`, then, when the center has a certificate authority of its own, `.` and its
    pins joined by `+`. The id is public (lists, the audit log); the secret is not.
    """

    id: str
    """8 to 32 characters of `a-z0-9`; never holds `_`, which ends it in the text."""
    secret: str = field(repr=False)
    """22 to 86 characters of base64url: at least 128 random bits."""
    pins: frozenset[str] = frozenset()
    """Pins of the authorities the center stands behind; two while one takes over from the other."""

    def __post_init__(self) -> None:
        """Refuse parts that would not read back as they were written."""
        if not _ID.fullmatch(self.id):
            raise MalformedEnrolmentKey("the enrolment key's id must be 8 to 32 characters of a-z and 0-9")
        if not _SECRET.fullmatch(self.secret):
            raise MalformedEnrolmentKey(
                "the enrolment key's secret must be 22 to 86 characters of A-Z, a-z, 0-9, - and _: "
                "was the key copied whole?",
            )
        if len(self.pins) > _MAX_PINS:
            raise MalformedEnrolmentKey(
                f"the enrolment key has {len(self.pins)} pins; {_MAX_PINS} are the most"
            )
        for pin in self.pins:
            check_pin(pin)

    @classmethod
    def parse(cls, text: str) -> EnrolmentKey:
        """Read a key from its text (spaces around it are ignored).

        Raises MalformedEnrolmentKey, whose message says what is wrong.
        """
        text = text.strip()
        if not text:
            raise MalformedEnrolmentKey("the enrolment key is empty")
        if len(text) > _MAX_TEXT:
            raise MalformedEnrolmentKey(f"the enrolment key is longer than {_MAX_TEXT} characters")
        if text.startswith(_AGENT_PREFIX):
            raise MalformedEnrolmentKey(
                "this is an agent key (oak_...); joining needs an enrolment key (oek_...)"
            )
        if not text.startswith(_ENROLMENT_PREFIX):
            raise MalformedEnrolmentKey(
                "an enrolment key starts with oek_, and its short form has 8 letters and digits"
            )
        credential, dot, pins = text.removeprefix(_ENROLMENT_PREFIX).partition(".")
        key_id, underscore, secret = credential.partition("_")
        if not underscore:
            raise MalformedEnrolmentKey("the enrolment key has no secret: it should read oek_<id>_<secret>")
        if dot and not pins:
            raise MalformedEnrolmentKey(
                "the enrolment key ends in '.' with no pin after it: was it copied whole?"
            )
        return cls(id=key_id, secret=secret, pins=frozenset(pins.split("+")) if dot else frozenset())

    def format(self) -> str:
        """The text that `parse` reads back; the same pins always give the same text."""
        pins = "." + "+".join(sorted(self.pins)) if self.pins else ""
        return f"{_ENROLMENT_PREFIX}{self.id}_{self.secret}{pins}"


def new_enrolment_key(pins: Collection[str]) -> EnrolmentKey:
    """Make a fresh enrolment key (256 random bits) that carries these pins."""
    return EnrolmentKey(
        id="".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH)),
        secret=secrets.token_urlsafe(_SECRET_BYTES),
        pins=frozenset(pins),
    )


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret, 32 bytes: the form in which the center stores it.

    A plain fast hash is right here: these secrets are random and at least 128 bits long, so nobody can search
    for them, and a check on every report must stay cheap. Passwords, which people choose, go through argon2.
    """
    # Outsiders send these texts: one that is no valid Unicode must hash to a mismatch, not raise.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def matches(secret: str, stored_hash: bytes) -> bool:
    """Whether this secret is the one behind a stored hash; takes the same time either way."""
    return hmac.compare_digest(hash_secret(secret), stored_hash)


def new_agent_key() -> str:
    """Make an agent key: `oak_` and 43 characters, base64url of 32 random bytes."""
    return _AGENT_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def is_agent_key(text: str) -> bool:
    """Whether a text has the shape of an agent key. Says nothing about whether any agent owns it."""
    return text.startswith(_AGENT_PREFIX) and _AGENT_SECRET.fullmatch(text, len(_AGENT_PREFIX)) is not None


def hash_agent_key(agent_key: str) -> bytes:
    """The 32 bytes under which the center stores an agent key; check one with `matches`."""
    return hash_secret(agent_key)


def pin_of(certificate_der: bytes) -> str:
    """The pin of a certificate: base64url without padding of SHA-256 over its DER, 43 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate_der).digest()).rstrip(b"=").decode("ascii")


def check_pin(pin: str) -> None:
    """Refuse a text that can't be any certificate's pin, with MalformedEnrolmentKey."""
    if not _PIN.fullmatch(pin):
        raise MalformedEnrolmentKey(
            f"a pin must be 43 characters of A-Z, a-z, 0-9, - and _; this one has {len(pin)}: "
            "was the key copied whole?",
        )
    # 43 characters hold two bits more than a digest: where those are set, no certificate can ever match.
    digest = base64.urlsafe_b64decode(pin + "=")
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii") != pin:
        raise MalformedEnrolmentKey(
            "a pin of the enrolment key has a wrong last character: was the key copied whole?"
        )


def device_id_of_der(public_key_der: bytes) -> str:
    """The device id of a public key: base32 without padding of SHA-256 over its SPKI DER, 52 characters."""
    return base64.b32encode(hashlib.sha256(public_key_der).digest()).rstrip(b"=").decode("ascii")


def device_id_hex(device_id: str) -> str:
    """The same device id as 64 hexadecimal digits. Raises ValueError for a text that is no device id."""
    try:
        digest = base64.b32decode(device_id + "=" * (-len(device_id) % 8))
    except ValueError:
        digest = b""
    if (
        len(digest) != hashlib.sha256().digest_size
        or base64.b32encode(digest).rstrip(b"=") != device_id.encode()
    ):
        raise ValueError("a device id is 52 characters of base32")
    return digest.hex()


def enrolment_proof(device_id: str, agent_key_hash: bytes, enrolment_key_id: str) -> bytes:
    """The exact bytes an agent signs with its identity key when it enrols.

    The signature binds the three together: who asks, the key it will use from now on, and the key that let
    it ask. Each part carries its length (4 bytes, big-endian), so no two different claims give the same
    bytes; the context at the start keeps the signature from meaning anything elsewhere.
    """
    parts = (device_id.encode(), agent_key_hash, enrolment_key_id.encode())
    return _PROOF_CONTEXT + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
