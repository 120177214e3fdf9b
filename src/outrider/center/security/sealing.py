"""Secrets that must be read back are sealed under one master key; this is that key and the seal.

The master key comes from the setting `OUTRIDER_MASTER_KEY` or from the file `master.key` in the home folder.
Without it nothing sealed can be read again: a backup needs both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from outrider.center.security.folder_lock import folder_lock
from outrider.domain.errors import OutriderError
from outrider.kit.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_VERSION = b"\x01"
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES
_MAX_FILE = 4096


class MasterKeyRefused(OutriderError):
    """The master key is missing, malformed, or its file can be read by others."""

    code = "master_key_refused"


class SealBroken(OutriderError):
    """Sealed bytes that can't be opened: another master key, another context, or they were changed."""

    code = "seal_broken"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key that seals, and the older ones that only open what they once sealed."""

    current: bytes = field(repr=False)
    """32 bytes."""
    previous: tuple[bytes, ...] = field(default=(), repr=False)
    """32 bytes each; kept while something sealed under them is left."""

    @classmethod
    def parse(cls, text: str, *, source: str) -> MasterKey:
        """Read base64 keys separated by spaces, commas or line ends; the first is the current one.

        Raises MasterKeyRefused naming `source`, never the key.
        """
        words = text.replace(",", " ").split()
        if not words:
            raise MasterKeyRefused(f"{source} is empty: it must hold 32 random bytes as base64")
        current, *previous = (_decode_key(word, source) for word in words)
        return cls(current, tuple(previous))


def load_master_key(home: Path, setting: str | None) -> MasterKey:
    """The master key from the setting when there is one, else from `master.key` in the home folder.

    The file is made (mode 0600) when it is missing. Raises MasterKeyRefused, saying what to do, when the key
    is malformed or others may read the file.
    """
    if setting is not None:
        return MasterKey.parse(setting, source="OUTRIDER_MASTER_KEY")
    path = home / "master.key"
    with folder_lock(home):
        if not path.exists():
            write_atomically(path, base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n", mode=0o600)
    return MasterKey.parse(_read_private(path), source=str(path))


class Sealer:
    """Seals and opens secrets under a master key.

    A sealed value names its format and its key, so that a new master key can take over while the old one
    still opens what it sealed. The context (say, `ssh password of agent_x`) is authenticated too: a value
    moved elsewhere in the database does not open.
    """

    def __init__(self, master: MasterKey) -> None:
        """Derive the sealing keys; the master key itself encrypts nothing."""
        self._ciphers = {
            _key_id(key): ChaCha20Poly1305(_derive(key)) for key in (*master.previous, master.current)
        }
        self._current_id = _key_id(master.current)
        self._hashing = tuple(_derive_for_hashes(key) for key in (master.current, *master.previous))

    def hashes(self, plain: bytes, *, context: str) -> tuple[bytes, ...]:
        """Hash a secret that is too short for a plain hash, so that it can be found without being kept.

        32 bytes each: under the current key, then under each older one. Without a master key nobody can
        search for the secret behind a hash.
        """
        said = context.encode() + b"\0" + plain
        return tuple(hmac.digest(key, said, hashlib.sha256) for key in self._hashing)

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt; two seals of the same bytes differ. Adds 33 bytes."""
        head = _VERSION + self._current_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._current_id].encrypt(nonce, plain, head + context.encode())
        return head + nonce + sealed

    def unseal(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made in the same context. Raises SealBroken for anything else."""
        if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES or not sealed.startswith(_VERSION):
            raise SealBroken(f"the sealed value ({context}) is not one of ours, or was cut short")
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        cipher = self._ciphers.get(head[len(_VERSION) :])
        if cipher is None:
            raise SealBroken(
                f"the sealed value ({context}) was made under another master key: "
                "start the center with the master key it was made under",
            )
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + context.encode())
        except InvalidTag:
            raise SealBroken(f"the sealed value ({context}) was changed, or belongs elsewhere") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed under the current key; one that is not should be sealed again."""
        return sealed[:_HEAD_BYTES] == _VERSION + self._current_id


def _decode_key(word: str, source: str) -> bytes:
    try:
        key = base64.b64decode(word, validate=True)
    except ValueError:
        raise MasterKeyRefused(
            f"{source} is not base64: it must hold 32 random bytes (make one with: openssl rand -base64 32)",
        ) from None
    if len(key) != _KEY_BYTES:
        raise MasterKeyRefused(
            f"{source} holds {len(key)} bytes, 32 are needed (make one with: openssl rand -base64 32)",
        )
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"outrider master key id 1\0" + key).digest()[:_KEY_ID_BYTES]


def _derive(key: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"outrider sealing 1").derive(key)


def _derive_for_hashes(key: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"outrider hashing 1").derive(key)


def _read_private(path: Path) -> str:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise MasterKeyRefused(f"others may read {path}: close it with: chmod 600 {path}")
        return file.read(_MAX_FILE).decode("ascii", "replace")
