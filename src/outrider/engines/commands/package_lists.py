"""What package tools print, read: dpkg and apt, rpm and dnf (or yum), apk.

All run under LC_ALL=C. What is not a line of the expected shape - a warning, a heading - is passed over.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

DPKG_FORMAT: Final = r"${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
RPM_FORMAT: Final = r"%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n"
_INSTALLED: Final = "i"
_KEYS: Final = "gpg-pubkey"
"""What rpm lists keys as."""
_COLUMNS: Final = 3
_APT: Final = re.compile(
    r"(?P<name>[^/\s]+)/\S+ (?P<version>\S+) (?P<arch>\S+) \[upgradable from: (?P<installed>\S+)\]"
)
_APK: Final = re.compile(r"(?P<name>\S+)-(?P<version>\d[^\s-]*(?:-r\d+)?) (?P<arch>\S+) \{.*\[installed\]")
_APK_UPGRADABLE: Final = re.compile(
    r"(?P<name>\S+)-(?P<version>\d[^\s-]*(?:-r\d+)?) (?P<arch>\S+) \{.*\[upgradable from: (?P<old>\S+)\]"
)
_OBSOLETING: Final = "Obsoleting Packages"


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A package that is installed; of one that could be upgraded, `available` is the newer version.

    `version` is empty where a tool tells only the newer one.
    """

    name: str
    version: str
    arch: str
    available: str = ""


def dpkg_installed(text: str) -> list[Package]:
    """Read `dpkg-query --show --showformat=DPKG_FORMAT`; settings left of what was removed do not count."""
    return [
        Package(name=name, version=version, arch=arch)
        for status, name, version, arch in _tabbed(text, _COLUMNS + 1)
        if status[1:2] == _INSTALLED
    ]


def apt_upgradable(text: str) -> list[Package]:
    """Read `apt list --upgradable`."""
    return [
        Package(
            name=found["name"], version=found["installed"], arch=found["arch"], available=found["version"]
        )
        for line in text.splitlines()
        if (found := _APT.fullmatch(line.rstrip()))
    ]


def rpm_installed(text: str) -> list[Package]:
    """Read `rpm --query --all --queryformat=RPM_FORMAT`; keys are no packages."""
    return [
        Package(name=name, version=version, arch=arch)
        for name, version, arch in _tabbed(text, _COLUMNS)
        if name and name != _KEYS
    ]


def dnf_upgradable(text: str, installed: Iterable[Package]) -> list[Package]:
    """Read `dnf check-update` (or yum's), and add from what is `installed` the version there is now.

    A line too long for its columns goes on in the next one, which then begins with blanks. What is said of
    obsolete packages comes last and is left out.
    """
    newest = {(each.name, each.arch): each.version for each in installed}
    found = []
    for line in _unfolded(text):
        words = line.split()
        name, dot, arch = words[0].rpartition(".") if len(words) == _COLUMNS else ("", "", "")
        if dot and name and words[1][:1].isalnum():
            version = newest.get((name, arch), "")
            found.append(Package(name=name, version=version, arch=arch, available=words[1]))
    return found


def _unfolded(text: str) -> Iterator[str]:
    pending = ""
    for line in text.splitlines():
        if line.startswith(_OBSOLETING):
            break
        if line[:1].isspace() and line.strip() and pending:
            pending = f"{pending} {line.strip()}"
            continue
        if pending:
            yield pending
        pending = line.strip()
    if pending:
        yield pending


def apk_installed(text: str) -> list[Package]:
    """Read `apk list --installed`."""
    return [
        Package(name=found["name"], version=found["version"], arch=found["arch"])
        for line in text.splitlines()
        if (found := _APK.match(line))
    ]


def apk_upgradable(text: str) -> list[Package]:
    """Read `apk list --upgradable`."""
    return [
        Package(
            name=found["name"],
            version=found["old"].removeprefix(found["name"] + "-"),
            arch=found["arch"],
            available=found["version"],
        )
        for line in text.splitlines()
        if (found := _APK_UPGRADABLE.match(line))
    ]


def _tabbed(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.split("\n"):
        words = line.split("\t")
        if len(words) == columns and words[1]:
            yield words
