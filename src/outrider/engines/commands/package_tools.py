"""The package tools of a host: which there are, and how each is asked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.engines.commands import package_lists
from outrider.engines.commands.package_lists import Package
from outrider.engines.commands.steps import CannotDo, Steps

_ROOT: Final = Path("/")
_UPDATES: Final = 100
"""How `dnf check-update` ends when there are updates."""


@dataclass(frozen=True, slots=True)
class PackageTools:
    """One family of tools. `database` is a path whose content tells that packages are managed by it."""

    name: str
    database: str
    installed: Callable[[Steps], Awaitable[Sequence[Package]]]
    upgradable: Callable[[Steps, bool], Awaitable[Sequence[Package]]]


async def _output(steps: Steps, *command: str, fine: Sequence[int] = (0,)) -> str:
    ran = await steps.program(*command)
    if ran.exit_code not in fine:
        raise CannotDo(f"{' '.join(command[:2])} failed: {ran.said}")
    return ran.stdout.decode(errors="replace")


async def _dpkg_installed(steps: Steps) -> Sequence[Package]:
    shown = await _output(steps, "dpkg-query", "--show", f"--showformat={package_lists.DPKG_FORMAT}")
    return package_lists.dpkg_installed(shown)


async def _apt_upgradable(steps: Steps, refresh: bool) -> Sequence[Package]:  # noqa: FBT001 - as the table's row
    if refresh:
        await _output(steps, "apt-get", "--quiet=2", "update")
    return package_lists.apt_upgradable(await _output(steps, "apt", "list", "--upgradable"))


async def _rpm_installed(steps: Steps) -> Sequence[Package]:
    shown = await _output(steps, "rpm", "--query", "--all", f"--queryformat={package_lists.RPM_FORMAT}")
    return package_lists.rpm_installed(shown)


async def _dnf_upgradable(steps: Steps, refresh: bool) -> Sequence[Package]:  # noqa: FBT001 - as the table's row
    tool = "dnf" if steps.has("dnf") else "yum"
    if not steps.has(tool):
        raise CannotDo("neither dnf nor yum is on this host, so what could be upgraded can't be told")
    if refresh:
        await _output(steps, tool, "--quiet", "makecache")
    shown = await _output(steps, tool, "--quiet", "--cacheonly", "check-update", fine=(0, _UPDATES))
    return package_lists.dnf_upgradable(shown, await _rpm_installed(steps))


async def _apk_installed(steps: Steps) -> Sequence[Package]:
    return package_lists.apk_installed(await _output(steps, "apk", "list", "--installed"))


async def _apk_upgradable(steps: Steps, refresh: bool) -> Sequence[Package]:  # noqa: FBT001 - as the table's row
    if refresh:
        await _output(steps, "apk", "--quiet", "update")
    return package_lists.apk_upgradable(await _output(steps, "apk", "list", "--upgradable"))


TOOLS: Final = (
    PackageTools("dpkg", "var/lib/dpkg/status", _dpkg_installed, _apt_upgradable),
    PackageTools("rpm", "var/lib/rpm", _rpm_installed, _dnf_upgradable),
    PackageTools("rpm", "usr/lib/sysimage/rpm", _rpm_installed, _dnf_upgradable),
    PackageTools("apk", "lib/apk/db/installed", _apk_installed, _apk_upgradable),
)
"""Looked for in this order. The tools of another family may be there as well, with an empty database."""


def tools_of(root: Path = _ROOT) -> PackageTools | None:
    """Return the tools that manage this host's packages; None when no database of theirs is there."""
    return next((tools for tools in TOOLS if _has_content(root / tools.database)), None)


def _has_content(path: Path) -> bool:
    try:
        return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0
    except OSError:
        return False
