"""What goes into a bundle, file by file: which files of a package, and with which digests."""

import base64
import binascii
import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from outrider.center.bundles.errors import InstallationUnfit

PACKAGE: Final = "outrider"
_LEFT_OUT_ROOMS: Final = frozenset({"center", "testing"})
"""No agent needs them: the center is a server, and the test kit is for tests."""
_OWN_SUFFIXES: Final = (".py", "/py.typed")
_FOR_COMPILERS: Final = (".pyc", ".pyo", ".pyi", ".pyx", ".pxd", ".pxi", ".pth", ".c", ".cpp", ".h")
_DIST_INFO: Final = ".dist-info"
_LICENCES: Final = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a bundle. `open` gives its bytes; their number and digest are known before."""

    name: str
    """Where it goes below `site/`."""
    size: int
    sha256: str
    """64 hexadecimal digits."""
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A line of a RECORD: a file of an installed package or of a wheel. The list itself has no digest."""

    path: str
    sha256: str | None
    size: int | None


def read_record(text: str, package: str) -> Iterator[Recorded]:
    """Read a RECORD. Raises InstallationUnfit for a digest that is none."""
    for row in csv.reader(text.splitlines()):
        if not row:
            continue
        path, digest, size = (*row, "", "")[:3]
        yield Recorded(path, _hex(digest, package, path), int(size) if size.isdecimal() else None)


def _hex(digest: str, package: str, path: str) -> str | None:
    if not digest:
        return None
    name, _, value = digest.partition("=")
    try:
        plain = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, binascii.Error):
        plain = b""
    if name != "sha256" or not plain:
        raise InstallationUnfit(
            f"{path} of {package} is listed without a SHA-256: install {package} again with pip."
        )
    return plain.hex()


def belongs(path: str) -> bool:
    """Tell whether a file of a package that the agent needs goes into a bundle.

    Programs, caches, what only compilers and type checkers read, and the installer's own notes do not.
    Licences do, and so does METADATA: packages ask for their own version.
    """
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "__pycache__" in parts:
        return False
    if parts[0].endswith(_DIST_INFO):
        return parts[1:] == ("METADATA",) or _is_licence(parts[1:])
    return not path.endswith(_FOR_COMPILERS)


def belongs_to_agent(path: str) -> bool:
    """Tell whether a file of this package goes into a bundle: all but what a center alone runs."""
    parts = PurePosixPath(path).parts
    if parts[:1] != (PACKAGE,):
        return belongs(path) and bool(parts) and parts[0].endswith(_DIST_INFO)
    if "__pycache__" in parts or ".." in parts:
        return False
    return path.endswith(_OWN_SUFFIXES) and parts[1] not in _LEFT_OUT_ROOMS


def _is_licence(parts: Iterable[str]) -> bool:
    first, *rest = parts
    return first == "licenses" if rest else first.upper().startswith(_LICENCES)


def checked(parts: Iterable[Part]) -> list[Part]:
    """Sort parts by name. Raises InstallationUnfit where two packages bring one file with other bytes."""
    found: dict[str, Part] = {}
    for part in parts:
        known = found.setdefault(part.name, part)
        if known.sha256 != part.sha256:
            raise InstallationUnfit(f"Two packages bring {part.name}, each another one.")
    return [found[name] for name in sorted(found)]
