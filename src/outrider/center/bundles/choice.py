"""Which of several bundles a host is offered: a pure rule."""

from collections.abc import Sequence
from typing import Final

from packaging.version import InvalidVersion, Version

from outrider import __version__
from outrider.center.bundles.glibc import as_version
from outrider.center.bundles.rows import BundleRow
from outrider.protocol.version import SPOKEN

_NONE: Final = Version("0")


def choose(
    bundles: Sequence[BundleRow], *, version: str | None = None, glibc: str = "", own: str = __version__
) -> BundleRow | None:
    """Return the one that a host gets, of bundles that are all for its Python and platform; None: none fits.

    `version` names one (`0.1.0`, or `0.1.0-1a2b3c4d5e6f` with its build); without it, an agent of the
    center's own release goes first, then the newest older release, and a newer one last. Of one release it is
    the one made last. One that needs a newer glibc than the host has (where it says so), or that the center
    could not talk to, is never chosen.
    """
    fitting = [each for each in bundles if _is_spoken(each) and runs_on(each, glibc)]
    if version is not None:
        fitting = [each for each in fitting if version in (each.version, f"{each.version}-{each.build}")]
    ours = _version(own)

    def rank(bundle: BundleRow) -> tuple[bool, bool, Version, float]:
        theirs = _version(bundle.version)
        return theirs == ours, theirs < ours, theirs, bundle.created

    return max(fitting, key=rank, default=None)


def runs_on(bundle: BundleRow, glibc: str) -> bool:
    """Tell whether a host with this glibc can run a bundle; one that does not say is believed to."""
    has, needs = as_version(glibc), as_version(bundle.glibc)
    return has is None or needs is None or needs <= has


def _is_spoken(bundle: BundleRow) -> bool:
    return bundle.protocol_lowest <= SPOKEN.highest and SPOKEN.lowest <= bundle.protocol_highest


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return _NONE
