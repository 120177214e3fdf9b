"""A version brought from the center: offered, downloaded, compared, unpacked, checked, put in place.

Nothing that runs is touched by it. It is what the command `update_agent` starts as a process of its own, what
the launcher does when no version fits its Python, and what an install does without a bundle at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outrider.bootstrap import center
from outrider.bootstrap.unpack import BadArchive
from outrider.bootstrap.versions import BadVersion, folder_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from outrider.bootstrap.center import Door, Offer
    from outrider.bootstrap.target import Target
    from outrider.bootstrap.versions import Versions

_DOWNLOADS: Final = "downloads"
_MEGABYTE: Final = 1_000_000
_GONE: Final = "no_bundle"
_QUARTERS: Final = 4


class CannotFetch(Exception):
    """No version was put in place; the text says why. `again`: the same may work later."""

    def __init__(self, detail: str, *, again: bool = False) -> None:
        super().__init__(detail)
        self.again = again


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A version that is in place; `fresh` when it was not before."""

    name: str
    version: str
    build: str
    fresh: bool


def fetch(
    versions: Versions,
    door: Door,
    target: Target,
    *,
    version: str = "",
    anew: bool = False,
    say: Callable[[str], None],
) -> Fetched:
    """Bring what the center offers for `target` among the versions; `version` names another than its newest.

    One that is in place already is not fetched again, unless `anew`. Raises CannotFetch, or Busy. What a cut
    download had got is kept for the next try; else nothing is left of one that fails.
    """
    with versions.locked():
        downloads = versions.layout.prefix / _DOWNLOADS
        try:
            offered = center.offer(door, target, version)
            name = folder_name({"version": offered.version, "build": offered.build, "python": offered.python})
            say(f"the center offers {offered.version}, build {offered.build}")
            # Those that failed would fill the disk, one after the other.
            versions.remove_unused(but=name)
            if name in versions.installed() and not anew:
                return _fetched(versions, name, fresh=False)
            archive = _downloaded(door, offered, target, version, downloads, say)
            try:
                name = versions.place(archive, target, anew=anew, say=say)
            finally:
                center.forget_downloads(downloads)
            return _fetched(versions, name, fresh=True)
        except center.CenterFault as fault:
            raise CannotFetch(str(fault), again=fault.again or _is_gone(fault)) from fault
        except BadArchive as error:
            raise CannotFetch(f"what the center offers can't be unpacked: {error}") from error
        except BadVersion as error:
            raise CannotFetch(str(error)) from error
        except OSError as error:
            raise CannotFetch(_disk(error), again=True) from error


def _fetched(versions: Versions, name: str, *, fresh: bool) -> Fetched:
    manifest = versions.manifest(name)
    return Fetched(name=name, version=manifest["version"], build=manifest["build"], fresh=fresh)


def _downloaded(
    door: Door, offered: Offer, target: Target, version: str, folder: Path, say: Callable[[str], None]
) -> Path:
    """Download what was offered; what the center has replaced meanwhile is asked for once more."""
    try:
        return center.download(door, offered, folder, _Progress(offered, say))
    except center.CenterRefused as refused:
        if not _is_gone(refused):
            raise
        again = center.offer(door, target, version)
        if again.digest == offered.digest:
            raise
        return center.download(door, again, folder, _Progress(again, say))


class _Progress:
    """Says how far a download is, each quarter of it once."""

    def __init__(self, offered: Offer, say: Callable[[str], None]) -> None:
        self._size = offered.size
        self._say = say
        self._told = 0
        say(f"downloading {offered.name} ({offered.size / _MEGABYTE:.1f} MB)")

    def __call__(self, got: int, size: int) -> None:
        quarter = _QUARTERS * got // size
        if quarter > self._told:
            self._told = quarter
            self._say(f"downloaded {100 * quarter // _QUARTERS} %")


def _is_gone(fault: center.CenterFault) -> bool:
    return isinstance(fault, center.CenterRefused) and fault.code == _GONE


def _disk(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"this host's disk does not take it: {error.strerror or error}{where}"
