"""What is installed here, as the parts of a bundle for this Python and platform. Asks no registry.

Everything blocks: from the event loop, in a thread.
"""

import hashlib
import importlib.metadata
import os
import re
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import BinaryIO, Final

from packaging.utils import canonicalize_name

import outrider
from outrider import __version__
from outrider.center.bundles.errors import InstallationUnfit
from outrider.center.bundles.glibc import Glibc, as_text, as_version, glibc_of, newest
from outrider.center.bundles.packing import describe, starter
from outrider.center.bundles.parts import (
    PACKAGE,
    Part,
    Recorded,
    belongs,
    belongs_to_agent,
    checked,
    read_record,
)
from outrider.center.bundles.requirements import here, needed
from outrider.domain.bundles import FORMAT, BundleTarget, Manifest, python_here
from outrider.protocol.version import SPOKEN

_RECORD: Final = "RECORD"
_VERSION: Final = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_BITS: Final = 8 * struct.calcsize("P")
_AS_32_BITS: Final = {"x86_64": "i686", "i386": "i686", "i486": "i686", "i586": "i686", "aarch64": "armv7l"}


def target_here() -> BundleTarget:
    """Return the Python and platform of this process."""
    machine = os.uname().machine.lower()
    if _BITS == 32:  # noqa: PLR2004 - bits
        machine = _AS_32_BITS.get(machine, machine)
    is_musl = "musl" in str(sysconfig.get_config_var("SOABI"))
    return BundleTarget(python_here(), f"linux-{machine}{'-musl' if is_musl else ''}")


@dataclass(frozen=True, slots=True)
class Content:
    """What a bundle is made of: its manifest and its sorted parts."""

    manifest: Manifest
    parts: Sequence[Part]


class Installation:
    """The packages that this program was installed with."""

    def __init__(self, path: Sequence[str] | None = None, source: Path | None = None) -> None:
        """Look for packages in the folders `path`, else where this interpreter does.

        `source` is the folder of the package `outrider` where it was installed to be edited, else that of the
        program that runs.
        """
        self._path = None if path is None else list(path)
        self._source = source or Path(outrider.__file__).parent

    def fingerprint(self) -> str:
        """Return a text that is another one when what is installed has changed. Raises InstallationUnfit.

        Much quicker than `content`: a package that pip installs has a new list of files then; source that is
        edited in place has other times.
        """
        own = self._own()
        digest = hashlib.sha256(f"{FORMAT} {__version__} {target_here()}\n".encode())
        for each in (own, *self._others(own)):
            digest.update(_record(each).encode())
        if not self._is_copied(own):
            for file, name in self._edited():
                about = file.stat()
                digest.update(f"{name} {about.st_mtime_ns} {about.st_size} {about.st_ino}\n".encode())
        return digest.hexdigest()

    def content(self) -> Content:
        """Collect what the bundle for this Python and platform is made of.

        Raises InstallationUnfit when something was not installed by pip, or is not what was installed.
        """
        own = self._own()
        version, parts = self.agent()
        if version != __version__:
            raise InstallationUnfit(
                f"Outrider {version} is installed here, but the center still runs {__version__}: restart it."
            )
        packages = {PACKAGE: version}
        glibc: Glibc | None = None
        for each in self._others(own):
            packages[canonicalize_name(_name(each))] = each.version
            parts += _parts(each, belongs)
            glibc = newest(glibc, _glibc(each))
        sorted_parts = checked(parts)
        manifest = describe(
            sorted_parts,
            version=version,
            target=target_here(),
            protocol=(SPOKEN.lowest, SPOKEN.highest),
            packages=packages,
            glibc=as_text(glibc),
        )
        return Content(manifest, sorted_parts)

    def agent(self) -> tuple[str, list[Part]]:
        """Return this package's version and its parts of any bundle. Raises InstallationUnfit."""
        own = self._own()
        parts = [starter(), *_parts(own, belongs_to_agent)]
        if self._is_copied(own):
            return own.version, parts
        edited = [_read(file, name) for file, name in self._edited()]
        found = _VERSION.search((self._source / "__init__.py").read_text(encoding="utf-8"))
        if found is None:
            raise InstallationUnfit(f"{self._source / '__init__.py'} does not state its version.")
        return found[1], parts + edited

    def _edited(self) -> Iterator[tuple[Path, str]]:
        """Walk the source that was installed to be edited: there is no list of it."""
        for folder, folders, files in os.walk(self._source):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            for file in sorted(files):
                path = Path(folder) / file
                name = path.relative_to(self._source.parent).as_posix()
                if belongs_to_agent(name):
                    yield path, name

    def _is_copied(self, own: Distribution) -> bool:
        return any(each.path == f"{PACKAGE}/__init__.py" for each in _recorded(own))

    def _own(self) -> Distribution:
        found = self._find(PACKAGE)
        if found is None:
            raise InstallationUnfit(
                "Outrider was not installed with pip here, so nobody knows what its agents need: install it "
                "(pip install 'outrider[center]'), or import a bundle that was made elsewhere."
            )
        return found

    def _others(self, own: Distribution) -> list[Distribution]:
        """Find all that the agent needs, whatever needs it."""
        environment = here()
        found: dict[str, Distribution] = {}
        seen: set[tuple[str, frozenset[str]]] = set()
        waiting = list(needed(PACKAGE, own.requires or (), frozenset(), environment))
        while waiting:
            name, extras = waiting.pop()
            if (name, extras) in seen:
                continue
            seen.add((name, extras))
            distribution = found.get(name) or self._find(name)
            if distribution is None:
                raise InstallationUnfit(f"{name} is needed by agents and not installed here: pip check.")
            found[name] = distribution
            waiting += needed(name, distribution.requires or (), extras, environment)
        return [found[name] for name in sorted(found)]

    def _find(self, name: str) -> Distribution | None:
        where = sys.path if self._path is None else self._path
        return next(iter(importlib.metadata.distributions(name=name, path=where)), None)


def _name(distribution: Distribution) -> str:
    return str(distribution.metadata["Name"])


def _record(distribution: Distribution) -> str:
    text = distribution.read_text(_RECORD)
    if text is None:
        raise InstallationUnfit(
            f"{_name(distribution)} was not installed by pip: there is no list of its files. "
            "Install it with pip, or import a bundle that was made elsewhere."
        )
    return text


def _recorded(distribution: Distribution) -> list[Recorded]:
    return list(read_record(_record(distribution), _name(distribution)))


def _parts(distribution: Distribution, wanted: Callable[[str], bool]) -> list[Part]:
    found = []
    for each in _recorded(distribution):
        if not wanted(each.path):
            continue
        if each.sha256 is None:
            raise InstallationUnfit(f"{each.path} of {_name(distribution)} is listed without a digest.")
        file = Path(str(distribution.locate_file(each.path)))
        size = each.size
        found.append(
            Part(each.path, file.stat().st_size if size is None else size, each.sha256, _opener(file))
        )
    return found


def _read(file: Path, name: str) -> Part:
    """Make a part of a file that no list has: it is held to what it is now while it is packed."""
    data = file.read_bytes()
    return Part(name, len(data), hashlib.sha256(data).hexdigest(), _opener(file))


def _opener(file: Path) -> Callable[[], BinaryIO]:
    return lambda: file.open("rb")


def _glibc(distribution: Distribution) -> Glibc | None:
    """Return the oldest glibc that a package runs on: of its wheel, or ours where it was built here."""
    tags = re.findall(r"^Tag: \S+-\S+-(\S+)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    platforms = [platform for tag in tags for platform in tag.split(".")]
    if "any" in platforms:
        return None
    return min(filter(None, map(glibc_of, platforms)), default=_glibc_here())


def _glibc_here() -> Glibc | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except ValueError:
        return None
    return as_version(version) if name == "glibc" else None
