"""The archive of a bundle, written: the same parts always give the same bytes.

It is a gzipped tar of regular files, sorted by name, without times, owners or folders; `bundle.json` comes
first. Every part is held to its digest while it is written, so that what was changed on the disk, or changes
meanwhile, makes no bundle.
"""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from outrider.center.bundles.errors import InstallationUnfit
from outrider.center.bundles.parts import Part
from outrider.domain.bundles import BUILD_DIGITS, FORMAT, MANIFEST, SITE, BundleTarget, Manifest

PIECE: Final = 256 * 1024
STARTER: Final = "__main__.py"
_START: Final = b"""\
import sys

from outrider.__main__ import main

sys.exit(main())
"""
_LEVEL: Final = 6
"""Level 9 takes three times as long, for less than a hundredth of the size."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Packed:
    """What was written: the digest (64 hexadecimal digits) and the size of the archive."""

    digest: str
    size: int


class Stopped(Exception):
    """Nobody wants the archive any more."""


def starter() -> Part:
    """Make the part that lets Python run `site/` itself: `python3 -I -S site agent`."""
    return Part(STARTER, len(_START), hashlib.sha256(_START).hexdigest(), lambda: io.BytesIO(_START))


def describe(
    parts: Sequence[Part],
    *,
    version: str,
    target: BundleTarget,
    protocol: tuple[int, int],
    packages: dict[str, str],
    glibc: str,
) -> Manifest:
    """Write the manifest of a bundle of these parts, which are sorted."""
    listed = [(part.name, part.size, part.sha256) for part in parts]
    return Manifest(
        format=FORMAT,
        version=version,
        build=build_of(version, target, listed),
        python=target.python,
        platform=target.platform,
        protocol=protocol,
        packages=dict(sorted(packages.items())),
        unpacked=sum(part.size for part in parts),
        glibc=glibc,
    )


def build_of(version: str, target: BundleTarget, files: Sequence[tuple[str, int, str]]) -> str:
    """Return a bundle's build, from the name below `site/`, size and digest of each of its sorted files."""
    digest = hashlib.sha256(f"{FORMAT} {version} {target.python} {target.platform}\n".encode())
    for name, size, sha256 in files:
        digest.update(f"{sha256} {size} {name}\n".encode())
    return digest.hexdigest()[:BUILD_DIGITS]


def pack(
    sink: BinaryIO,
    manifest: Manifest,
    parts: Sequence[Part],
    *,
    wanted: Callable[[], bool] = lambda: True,
) -> Packed:
    """Write the archive to `sink`, with bounded memory; for a thread, since it blocks.

    Raises InstallationUnfit for a part that is not what it should be, Stopped soon after `wanted` says no,
    and OSError.
    """
    archive = _Archive(sink)
    said = manifest.encode()
    archive.begin(MANIFEST, len(said))
    archive.write(said)
    archive.end(len(said))
    for part in parts:
        archive.begin(f"{SITE}/{part.name}", part.size)
        _copy(part, archive, wanted)
        archive.end(part.size)
    return archive.close()


def _copy(part: Part, archive: "_Archive", wanted: Callable[[], bool]) -> None:
    digest, left = hashlib.sha256(), part.size
    try:
        with part.open() as source:
            while piece := source.read(PIECE):
                if not wanted():
                    raise Stopped
                left -= len(piece)
                if left < 0:
                    break
                digest.update(piece)
                archive.write(piece)
    except FileNotFoundError:
        left = -1
    if left or digest.hexdigest() != part.sha256:
        raise InstallationUnfit(
            f"{part.name} is not what was installed: it was changed or removed since. Install its package "
            "again with pip; where you have edited it on purpose, put your change into the package.",
            file=part.name,
        )


class _Archive:
    """A gzipped tar as it is written."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._digest = hashlib.sha256()
        self._size = 0

    def begin(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        self.write(info.tobuf(tarfile.PAX_FORMAT))

    def write(self, data: bytes) -> None:
        self._put(self._gzip.compress(data))

    def end(self, size: int) -> None:
        self.write(bytes(-size % _BLOCK))

    def close(self) -> Packed:
        self.write(bytes(2 * _BLOCK))
        self._put(self._gzip.flush())
        return Packed(self._digest.hexdigest(), self._size)

    def _put(self, data: bytes) -> None:
        if data:
            self._digest.update(data)
            self._size += len(data)
            self._sink.write(data)
