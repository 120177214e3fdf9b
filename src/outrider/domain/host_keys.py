"""Host keys of SSH: by which a host is recognised, how a person names one, and whether one is admitted.

A key is its blob, as SSH sends it: the name of its algorithm comes first in it. As text it is
`ssh-ed25519 AAAA...`, as a fingerprint `SHA256:...`, both as OpenSSH writes them.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection
from typing import Final

import msgspec

from outrider.domain.errors import Invalid

MOST_TEXT: Final = 16 * 1024
"""Characters of what a person may give: some keys of one host."""
MOST_BLOB: Final = 8 * 1024
"""Bytes of a key: RSA with 16,384 bits has 2 KiB."""
_MOST_KEYS: Final = 32
_FINGERPRINT: Final = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")
_ALGORITHM: Final = re.compile(r"[a-z0-9][a-z0-9@._-]{2,63}")
_LENGTH: Final = 4


class BadHostKey(Invalid):
    """A text names no host key. `fields`: field."""

    code = "bad_host_key"


class HostKey(msgspec.Struct, frozen=True):
    """One host key."""

    blob: bytes

    @property
    def algorithm(self) -> str:
        """The name of its algorithm, such as `ssh-ed25519`; empty when the blob is no key."""
        size = int.from_bytes(self.blob[:_LENGTH], "big")
        name = self.blob[_LENGTH : _LENGTH + size]
        text = name.decode("ascii", "replace")
        return text if len(name) == size and _ALGORITHM.fullmatch(text) else ""

    @property
    def text(self) -> str:
        """The key as one line: `ssh-ed25519 AAAA...`."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode('ascii')}"

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint: `SHA256:` and 43 characters."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).rstrip(b"=").decode("ascii")


class Pinned(msgspec.Struct, frozen=True):
    """What a person says a host's key is: one of these."""

    fingerprints: frozenset[str]
    #: The algorithms of those that were given whole; empty when any may be.
    algorithms: tuple[str, ...] = ()

    def admits(self, key: HostKey) -> bool:
        """Tell whether a key is one of them."""
        return key.fingerprint in self.fingerprints


def parse_public_key(text: str) -> HostKey:
    """Read `ssh-ed25519 AAAA...`, whatever follows. Raises BadHostKey."""
    algorithm, _, rest = text.strip().partition(" ")
    encoded = rest.strip().split(" ")[0]
    try:
        key = HostKey(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise _bad(text) from None
    if not key.algorithm or key.algorithm != algorithm or len(key.blob) > MOST_BLOB:
        raise _bad(text)
    return key


def parse_pinned(text: str) -> Pinned:
    """Read what a person says a host's key is. Raises BadHostKey.

    One or more lines, each a line of known_hosts (whose names are passed over: it is said of this host), a
    public key or a fingerprint. So the output of `ssh-keyscan` can be given as it is.
    """
    if len(text) > MOST_TEXT:
        raise BadHostKey(f"At most {MOST_TEXT} characters are taken as a host's keys.", field="known_host")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or len(lines) > _MOST_KEYS:
        raise BadHostKey(f"Give 1 to {_MOST_KEYS} host keys, one a line.", field="known_host")
    fingerprints: list[str] = []
    algorithms: dict[str, None] = {}
    for line in lines:
        if found := _FINGERPRINT.fullmatch(line):
            fingerprints.append(f"SHA256:{found[1]}")
            continue
        if line.startswith("@"):
            raise BadHostKey(
                "Lines of known_hosts with a marker (@cert-authority, @revoked) are not taken: give the "
                "host's own key.",
                field="known_host",
            )
        key = _key_in(line)
        fingerprints.append(key.fingerprint)
        algorithms[key.algorithm] = None
    whole = len(lines) == len(fingerprints) and not any(_FINGERPRINT.fullmatch(line) for line in lines)
    return Pinned(frozenset(fingerprints), tuple(algorithms) if whole else ())


def _key_in(line: str) -> HostKey:
    try:
        return parse_public_key(line)
    except BadHostKey:
        _, _, rest = line.partition(" ")
        return parse_public_key(rest)


def _bad(text: str) -> BadHostKey:
    return BadHostKey(
        f"{text[:40]!r} is no host key: give a line of known_hosts, a public key (`ssh-ed25519 AAAA...`) "
        "or a fingerprint (`SHA256:...`).",
        field="known_host",
    )


def normal_host(text: str) -> str:
    """Write a host's name or address as it is remembered: in small letters, without brackets."""
    name = text.strip().lower().rstrip(".")
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def place_of(host: str, port: int, via: Collection[str] = ()) -> str:
    """Name where a host is found, for people: `host:port`, and by way of which jump hosts."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return " via ".join((shown, *via))
