"""The locked packages of the agent: which one of each, with the digests of all its files.

They ship inside this package (`./dev lock` writes them), so that a bundle for another platform is made of
exactly what this release was tested with, wherever the files come from.
"""

import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from outrider.center.bundles.requirements import on
from outrider.domain.bundles import BundleTarget

_FILE: Final = "agent_pins.txt"
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: its normal name, its version, and the SHA-256 of each of its files."""

    name: NormalizedName
    version: str
    hashes: frozenset[str]

    @property
    def line(self) -> str:
        """The pin as pip reads it."""
        hashes = " ".join(f"--hash=sha256:{each}" for each in sorted(self.hashes))
        return f"{self.name}=={self.version} {hashes}"


def pins_for(target: BundleTarget) -> list[Pin]:
    """Return the packages that agents on this Python and platform are made of, by name."""
    text = resources.files(__package__).joinpath(_FILE).read_text(encoding="ascii")
    return read_pins(text, target)


def read_pins(text: str, target: BundleTarget) -> list[Pin]:
    """Read a lock as pip does, but with its conditions compared with another Python than ours."""
    environment, found = on(target), []
    for entry in text.replace("\\\n", " ").splitlines():
        stated = entry.partition(" --hash=")[0].strip()
        if not stated or stated.startswith("#"):
            continue
        wanted = Requirement(stated)
        if wanted.marker is None or wanted.marker.evaluate({**environment, "extra": ""}):
            (version,) = (each.version for each in wanted.specifier)
            hashes = frozenset(_HASH.findall(entry))
            found.append(Pin(canonicalize_name(wanted.name), version, hashes))
    return sorted(found, key=lambda pin: pin.name)
