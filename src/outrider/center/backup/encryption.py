"""A stream of bytes under a passphrase: scrypt makes the key, ChaCha20-Poly1305 seals it chunk by chunk.

    magic, scrypt's three numbers, 16 bytes of salt, 7 bytes of nonce
    chunks of 64 KiB, each with 16 bytes of tag; the last one is shorter, or empty

Each chunk's nonce holds its number and whether it is the last one, so that chunks which were left out,
doubled, moved or cut off do not open.
"""

import secrets
import struct
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from outrider.center.backup.errors import BackupDamaged

MAGIC: Final = b"outrider backup, sealed 1\n"
_HEAD: Final = struct.Struct(">BBB16s7s")
_NONCE: Final = struct.Struct(">7sIB")
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
COST: Final = 17
"""Binary logarithm of scrypt's N: 128 MiB and about half a second for each guess."""
_R: Final = 8
_P: Final = 1
_MOST_LOG_N: Final = 20
_MOST_R: Final = 16
_MOST_P: Final = 4
_WRONG: Final = "The passphrase is not the one this backup was made with, or the file was changed."


class Sealing:
    """Writes to `file` what is written to it, sealed. Nothing opens unless `close` was called."""

    def __init__(self, file: BinaryIO, passphrase: bytes, *, cost: int = COST) -> None:
        """Make a key, and write what it takes to make it again. What is read tells its `cost` itself."""
        salt, self._prefix = secrets.token_bytes(16), secrets.token_bytes(7)
        self._head = MAGIC + _HEAD.pack(cost, _R, _P, salt, self._prefix)
        self._cipher = _cipher(passphrase, salt, cost, _R, _P)
        self._file = file
        self._waiting = bytearray()
        self._number = 0
        file.write(self._head)

    def write(self, data: bytes) -> None:
        """Seal and write all whole chunks."""
        self._waiting += data
        while len(self._waiting) >= _CHUNK:
            self._seal(bytes(self._waiting[:_CHUNK]), last=False)
            del self._waiting[:_CHUNK]

    def close(self) -> None:
        """Write the last chunk; the file itself stays open."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        nonce = _NONCE.pack(self._prefix, self._number, last)
        self._file.write(self._cipher.encrypt(nonce, chunk, self._head))
        self._number += 1


class Opening:
    """Reads what `Sealing` has written. Raises BackupDamaged for anything else, at the first wrong chunk."""

    def __init__(self, file: BinaryIO, passphrase: bytes) -> None:
        """Read how the key was made, and make it. The magic has been read already."""
        told = file.read(_HEAD.size)
        if len(told) < _HEAD.size:
            raise BackupDamaged("The backup is cut off within its head.")
        log_n, r, p, salt, self._prefix = _HEAD.unpack(told)
        if not (1 <= log_n <= _MOST_LOG_N and 1 <= r <= _MOST_R and 1 <= p <= _MOST_P):
            raise BackupDamaged("The backup's head asks for more memory than any backup of ours needs.")
        self._head = MAGIC + told
        self._cipher = _cipher(passphrase, salt, log_n, r, p)
        self._file = file
        self._ahead = file.read(_CHUNK + _TAG)
        self._opened = b""
        self._number = 0
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes (all that are left for -1); none at the end."""
        parts: list[bytes] = []
        left = size
        while left != 0:
            if not self._opened and not self._next():
                break
            part = self._opened if left < 0 else self._opened[:left]
            self._opened = self._opened[len(part) :]
            parts.append(part)
            left = left if left < 0 else left - len(part)
        return b"".join(parts)

    def _next(self) -> bool:
        """Open the next chunk that holds anything; False after the last one."""
        while not self._ended and not self._opened:
            sealed, self._ahead = self._ahead, self._file.read(_CHUNK + _TAG)
            self._ended = not self._ahead
            nonce = _NONCE.pack(self._prefix, self._number, self._ended)
            try:
                self._opened = self._cipher.decrypt(nonce, sealed, self._head)
            except InvalidTag:
                raise BackupDamaged(_WRONG, chunk=self._number) from None
            self._number += 1
        return bool(self._opened)


def _cipher(passphrase: bytes, salt: bytes, log_n: int, r: int, p: int) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt=salt, length=32, n=2**log_n, r=r, p=p).derive(passphrase))
