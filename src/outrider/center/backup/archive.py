"""The backup's file: a gzipped tar, whose last member names all others with their digests; sealed on request.

    backup.json                    what it is: format, release, schema revision, epoch, when
    tables/TABLE/NUMBER.msgpack    rows: the names of the columns, then a list for each row
    blobs/KEY                      a blob
    keys/master.key, keys/ca/...   what seals secrets, and the certificate authority
    manifest.json                  every member's size and SHA-256, and the blobs that were gone

Any tar program can list and unpack one that is not sealed.
"""

import gzip
import hashlib
import os
import secrets
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, Self, TypeVar, cast

import msgspec

from outrider.center.backup.encryption import COST, MAGIC, Opening, Sealing
from outrider.center.backup.errors import BackupDamaged, BackupRefused
from outrider.kit.files import sync_folder

T = TypeVar("T")

FORMAT: Final = 1
HEADER: Final = "backup.json"
MANIFEST: Final = "manifest.json"
TABLES: Final = "tables/"
BLOBS: Final = "blobs/"
KEYS: Final = "keys/"
_BLOCK: Final = 512
_LEVEL: Final = 6
_PIECE: Final = 256 * 1024
_MOST_OF_A_TEXT: Final = 256 * 1024 * 1024
_MOST_OF_A_HEAD: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of. `created` is unix seconds, `revision` the schema's, `dialect` the database's."""

    format: int
    release: str
    revision: str
    epoch: str
    dialect: str
    host: str
    created: float


class Digest(msgspec.Struct, frozen=True):
    """A member's size in bytes and its SHA-256, in hex."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup. `missing` are keys of blobs that were deleted while it was taken."""

    header: Header
    members: dict[str, Digest]
    rows: dict[str, int]
    missing: list[str]

    @property
    def blobs(self) -> int:
        """How many blobs there are."""
        return sum(name.startswith(BLOBS) for name in self.members)

    @property
    def digest(self) -> str:
        """What tells this backup from any other."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Writing:
    """Writes members one after the other. Memory stays bounded whatever they hold."""

    def __init__(self, sink: _Sink) -> None:
        """Write to `sink`, which gets gzipped bytes."""
        self._sink = sink
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._name = ""
        self._left = 0
        self._size = 0
        self._digest = hashlib.sha256()
        self.members: dict[str, Digest] = {}

    def add(self, name: str, data: bytes) -> None:
        """Write a whole member."""
        self.begin(name, len(data))
        self.write(data)
        self.end()

    def begin(self, name: str, size: int) -> None:
        """Begin a member of that many bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._put(info.tobuf(tarfile.PAX_FORMAT))
        self._name, self._size, self._left, self._digest = name, size, size, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Write some of the member's bytes."""
        self._left -= len(data)
        self._digest.update(data)
        self._put(data)

    def end(self) -> None:
        """End the member. Raises BackupRefused when it was not as long as was said."""
        if self._left:
            raise BackupRefused(f"{self._name} changed while it was read: take the backup again.")
        self._put(bytes(-self._size % _BLOCK))
        self.members[self._name] = Digest(self._size, self._digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and the archive's end."""
        self.add(MANIFEST, msgspec.json.encode(manifest))
        self._put(bytes(2 * _BLOCK))
        self._sink.write(self._gzip.flush())

    def _put(self, data: bytes) -> None:
        packed = self._gzip.compress(data)
        if packed:
            self._sink.write(packed)


@contextmanager
def writing(file: Path, passphrase: bytes | None, *, cost: int = COST) -> Iterator[Writing]:
    """Write a backup in the block: `file` is there, whole and durable, after the block, and never before.

    Only its owner may read it; `cost` is what a guess at its passphrase takes (see `Sealing`). Raises
    BackupRefused when there is such a file already.
    """
    if file.exists():
        raise BackupRefused(f"{file} is there already: name another file, or move it away.", file=str(file))
    part = file.with_name(f".{file.name}.{secrets.token_hex(6)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            sealing = None if passphrase is None else Sealing(target, passphrase, cost=cost)
            yield Writing(sealing or target)
            if sealing is not None:
                sealing.close()
            target.flush()
            os.fsync(target.fileno())
        part.rename(file)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    sync_folder(file.parent)


class _BoundedInfo(tarfile.TarInfo):
    """A member's head. Long names and the like are read whole before anybody is asked: they are short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a head. Raises tarfile.ReadError for one that says more of itself than any of ours."""
        info = super().frombuf(buf, encoding, errors)
        if not info.isreg() and info.size > _MOST_OF_A_HEAD:
            raise tarfile.ReadError("a part's head is larger than any of a backup of ours")
        return info


class Member:
    """A member as it is read: to be read to its end before the next one."""

    def __init__(self, name: str, size: int, content: BinaryIO) -> None:
        self.name = name
        self.size = size
        self._content = content
        self._digest = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """Give its bytes in pieces. Raises BackupDamaged when the file ends within it."""
        left = self.size
        while left:
            piece = self._content.read(min(_PIECE, left))
            if not piece:
                raise BackupDamaged(f"The backup is cut off within {self.name}.")
            left -= len(piece)
            self._digest.update(piece)
            yield piece

    def bytes(self) -> bytes:
        """Return all of it. Raises BackupDamaged when it is cut off, or too large to be held at once."""
        if self.size > _MOST_OF_A_TEXT:
            raise BackupDamaged(f"{self.name} is larger than any such part of a backup of ours.")
        return b"".join(self.pieces())

    @property
    def digest(self) -> Digest:
        """What it has turned out to be, once it has been read."""
        return Digest(self.size, self._digest.hexdigest())


@contextmanager
def reading(file: Path, passphrase: bytes | None) -> Iterator[Iterator[Member]]:
    """Read a backup's members in the block, in order. Raises BackupDamaged for what is none.

    What a member says is not to be acted upon before `check` has passed.
    """
    try:
        source = file.open("rb")
    except OSError as error:
        raise BackupRefused(f"{file} can't be read: {error.strerror}.", file=str(file)) from error
    with source:
        sealed = source.read(len(MAGIC)) == MAGIC
        if sealed and passphrase is None:
            raise BackupRefused(f"{file} is sealed: give its passphrase with --passphrase-file.")
        if sealed and passphrase is not None:
            plain: Any = Opening(source, passphrase)
        else:
            source.seek(0)
            plain = source
        try:
            with gzip.GzipFile(fileobj=plain, mode="rb") as unpacked:
                with tarfile.open(
                    fileobj=cast("BinaryIO", unpacked), mode="r|", tarinfo=_BoundedInfo
                ) as archive:
                    yield _members(archive)
                # The checksum of gzip is only looked at where it ends.
                while unpacked.read(_PIECE):
                    pass
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BackupDamaged(f"{file} is no backup of a center, or was damaged: {error}.") from error


def _members(archive: tarfile.TarFile) -> Iterator[Member]:
    while (info := _next(archive)) is not None:
        # Some bytes of a sparse file stand for as many as it likes.
        content = archive.extractfile(info) if info.isreg() and not info.issparse() else None
        if content is None:
            raise BackupDamaged(f"{info.name} in the backup is no file.")
        yield Member(info.name, info.size, cast("BinaryIO", content))


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return archive.next()
    except (ValueError, OverflowError) as error:
        # A head that was changed may say numbers and names that are none.
        raise BackupDamaged(f"The backup was damaged: {error}.") from error


def check(file: Path, passphrase: bytes | None) -> Manifest:
    """Read a whole backup and hold every member to the manifest. Raises BackupDamaged or BackupRefused."""
    found = _Found()
    with reading(file, passphrase) as members:
        for member in members:
            found.take(member)
    return found.whole()


class _Found:
    """What a backup has turned out to hold."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._manifest: Manifest | None = None
        self._members: dict[str, Digest] = {}

    def take(self, member: Member) -> None:
        if self._manifest is not None or member.name in self._members:
            raise BackupDamaged(f"{member.name} is in the backup where nothing should be.")
        if self._header is None:
            if member.name != HEADER:
                raise BackupDamaged("The file is no backup of a center: it does not begin as one.")
            self._header = _decode(member.bytes(), Header)
            _check_format(self._header)
        elif member.name == MANIFEST:
            self._manifest = _decode(member.bytes(), Manifest)
            return
        else:
            for _ in member.pieces():
                pass
        self._members[member.name] = member.digest

    def whole(self) -> Manifest:
        manifest = self._manifest
        if manifest is None:
            raise BackupDamaged("The backup is cut off: its last part, the list of all others, is missing.")
        for name in sorted(self._members.keys() | manifest.members.keys()):
            if self._members.get(name) != manifest.members.get(name):
                raise BackupDamaged(f"{name} in the backup is not what was put there.", member=name)
        if manifest.header != self._header:
            raise BackupDamaged("The backup's beginning and end are not of the same backup.")
        return manifest


def _check_format(header: Header) -> None:
    if header.format != FORMAT:
        raise BackupRefused(
            f"The backup has format {header.format}, made by Outrider {header.release}; this release reads"
            f" format {FORMAT}. Use the release it was made with, or a newer one.",
            format=header.format,
        )


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BackupDamaged(f"The backup does not say what it is: {error}.") from error
