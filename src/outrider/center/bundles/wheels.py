"""Wheels as the parts of a bundle. Everything blocks: from the event loop, in a thread."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, cast

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from outrider.center.bundles.errors import HashMismatch, InstallationUnfit
from outrider.center.bundles.glibc import Glibc, glibc_of
from outrider.center.bundles.parts import Part, belongs, read_record
from outrider.center.bundles.pins import Pin

_DATA: Final = ".data/"
_LIBRARIES: Final = ("purelib/", "platlib/")


class Wheel:
    """A wheel that was downloaded, held to the pin it was downloaded for; open until it is closed."""

    def __init__(self, file: Path, pin: Pin) -> None:
        """Open it. Raises HashMismatch when it is none of the files that the pin stands for."""
        with file.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        if digest not in pin.hashes:
            raise HashMismatch(
                f"{file.name} is not what was locked: its SHA-256 is {digest}. The registry, or somebody "
                "between it and here, has changed it.",
                package=pin.name,
            )
        self._name = file.name
        self._pin = pin
        try:
            self._archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise InstallationUnfit(f"{file.name} is no wheel: {error}.") from error

    def close(self) -> None:
        """Close the file; its parts can't be opened any more."""
        self._archive.close()

    @property
    def glibc(self) -> Glibc | None:
        """The oldest glibc that it runs on; None when it asks for none."""
        try:
            _, _, _, tags = parse_wheel_filename(self._name)
        except InvalidWheelFilename as error:
            raise InstallationUnfit(f"{self._name} is no wheel: {error}.") from error
        versions = [glibc_of(tag.platform) for tag in tags]
        return min((each for each in versions if each is not None), default=None)

    def parts(self) -> list[Part]:
        """Return the files that go into a bundle. Raises InstallationUnfit for one without a proper list."""
        names = set(self._archive.namelist())
        record = next((name for name in names if name.endswith(".dist-info/RECORD")), None)
        if record is None:
            raise InstallationUnfit(f"{self._name} is no wheel: it has no list of its files.")
        found = []
        for each in read_record(self._archive.read(record).decode("utf-8", "replace"), self._pin.name):
            place = place_of(each.path)
            if place is None or each.path not in names or not belongs(place):
                continue
            if each.sha256 is None:
                raise InstallationUnfit(f"{each.path} of {self._name} is listed without a digest.")
            size = self._archive.getinfo(each.path).file_size
            found.append(Part(place, size, each.sha256, self._opener(each.path)))
        return found

    def _opener(self, name: str) -> Callable[[], BinaryIO]:
        return lambda: cast("BinaryIO", self._archive.open(name))


def place_of(path: str) -> str | None:
    """Say where a file of a wheel is installed, below the folder of packages; None for elsewhere."""
    head, data, rest = path.partition(_DATA)
    if not data or "/" in head:
        return path
    return next((rest.removeprefix(each) for each in _LIBRARIES if rest.startswith(each)), None)
