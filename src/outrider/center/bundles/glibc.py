"""Versions of glibc: a wheel runs on the one it was built for and on newer ones."""

from typing import Final

Glibc = tuple[int, int]

_MOST_DIGITS: Final = 4
_LEGACY: Final[dict[str, Glibc]] = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


def glibc_of(platform_tag: str) -> Glibc | None:
    """Return the oldest glibc that a wheel with this platform tag runs on; None when the tag names none."""
    name, _, rest = platform_tag.partition("_")
    if name in _LEGACY:
        return _LEGACY[name]
    major, _, rest = rest.partition("_")
    minor, _, _ = rest.partition("_")
    if name == "manylinux" and major.isdecimal() and minor.isdecimal():
        return int(major), int(minor)
    return None


def as_version(glibc: str) -> Glibc | None:
    """Read a glibc's version such as `2.36`; None for a text that is none."""
    major, _, minor = glibc.strip().partition(".")
    if not all(part.isdecimal() and len(part) <= _MOST_DIGITS for part in (major, minor)):
        return None
    return int(major), int(minor)


def as_text(glibc: Glibc | None) -> str:
    """Write a version; empty for none."""
    return "" if glibc is None else f"{glibc[0]}.{glibc[1]}"


def newest(*versions: Glibc | None) -> Glibc | None:
    """Return the newest of these; None when there is none."""
    return max((each for each in versions if each is not None), default=None)
