"""The archive of a bundle, read: every file of it looked at before anything is made of it.

Whoever may bring a bundle to a center decides what runs on its hosts, so this guards against damage and
mistakes: a file that is cut off, changed, of another format, or no bundle at all. Memory stays bounded,
whatever it holds.
"""

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Self, cast

from outrider.center.bundles.packing import PIECE, STARTER, Packed, build_of
from outrider.domain.bundles import MANIFEST, MOST_MANIFEST, SITE, BadBundle, Manifest

_GZIP: Final = 16 + zlib.MAX_WBITS
_MOST_FILES: Final = 20_000
_MOST_BYTES: Final = 512 * 1024 * 1024
_MOST_OF_A_HEAD: Final = 64 * 1024
_NAME: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True, slots=True)
class Checked:
    """A bundle that is whole: what it says of itself, the digest and size of its archive."""

    manifest: Manifest
    packed: Packed


def check(source: BinaryIO) -> Checked:
    """Read a whole bundle. Blocks. Raises BadBundle, which says what is wrong with it, and OSError."""
    plain = _Unpacked(source)
    try:
        with tarfile.open(fileobj=cast("BinaryIO", plain), mode="r|", tarinfo=_BoundedInfo) as archive:
            manifest, files = _read(archive)
        plain.drain()
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise BadBundle(f"The file is no bundle, or it was cut off or changed: {error}.") from error
    if sum(size for _, size, _ in files) != manifest.unpacked or STARTER not in (name for name, *_ in files):
        raise BadBundle("The bundle is not whole: files are missing.")
    if build_of(manifest.version, manifest.target, sorted(files)) != manifest.build:
        raise BadBundle("The bundle was changed: its files are not those that it was made of.")
    return Checked(manifest, plain.packed)


def _read(archive: tarfile.TarFile) -> tuple[Manifest, list[tuple[str, int, str]]]:
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > MOST_MANIFEST:
        raise BadBundle("The file is no bundle: it does not begin with a manifest.")
    manifest = Manifest.decode(b"".join(_pieces(archive, first)))
    files: list[tuple[str, int, str]] = []
    names: set[str] = set()
    left = _MOST_BYTES
    while (info := archive.next()) is not None:
        left -= info.size
        name = _name_of(info)
        if name in names or len(files) >= _MOST_FILES or left < 0:
            raise BadBundle("The bundle holds more than any bundle does, or a file twice.")
        names.add(name)
        digest = hashlib.sha256()
        for piece in _pieces(archive, info):
            digest.update(piece)
        files.append((name, info.size, digest.hexdigest()))
    return manifest, files


def _name_of(info: tarfile.TarInfo) -> str:
    top, *parts = info.name.split("/")
    if top != SITE or not parts or any(part in (".", "..") or not _NAME.fullmatch(part) for part in parts):
        raise BadBundle(f"{info.name[:120]!r} in the bundle lies where nothing should.")
    return "/".join(parts)


def _pieces(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    # Some bytes of a sparse file stand for as many as it likes.
    content = archive.extractfile(info) if info.isreg() and not info.issparse() else None
    if content is None:
        raise BadBundle(f"{info.name[:120]!r} in the bundle is no file.")
    left = info.size
    while left:
        piece = content.read(min(PIECE, left))
        if not piece:
            raise BadBundle("The bundle is cut off.")
        left -= len(piece)
        yield piece


class _BoundedInfo(tarfile.TarInfo):
    """A member's head. Long names and the like are read whole before anybody is asked: they are short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if not info.isreg() and info.size > _MOST_OF_A_HEAD:
            raise tarfile.ReadError("a file's head is larger than any of a bundle")
        return info


class _Unpacked:
    """The bytes behind a gzipped file, and the digest of the file itself; bounded in what it holds."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._gzip = zlib.decompressobj(_GZIP)
        self._digest = hashlib.sha256()
        self._size = 0
        self._given = 0

    @property
    def packed(self) -> Packed:
        return Packed(self._digest.hexdigest(), self._size)

    def read(self, count: int) -> bytes:
        """Give up to `count` bytes; none at the end. Raises EOFError where the file is cut off."""
        while not self._gzip.eof:
            packed = self._gzip.unconsumed_tail or self._next()
            piece = self._gzip.decompress(packed, count)
            self._given += len(piece)
            if self._given > _MOST_BYTES:
                raise ValueError("it holds more than any bundle does")
            if piece:
                return piece
            if not packed and not self._gzip.eof:
                raise EOFError("it ends too early")
        return b""

    def drain(self) -> None:
        """Read to the end, where gzip's checksum is. Raises ValueError for what follows the end."""
        while self.read(PIECE):
            pass
        if self._gzip.unused_data or self._source.read(1):
            raise ValueError("something follows its end")

    def _next(self) -> bytes:
        """Read on; at the end of the file nothing, which brings out what is left inside."""
        data = self._source.read(PIECE)
        self._digest.update(data)
        self._size += len(data)
        return data
