"""systemd, asked through `systemctl`: what it prints, read; and whether it runs this host at all.

Read are `show` (NAME=value lines, units apart by an empty line) and `list-unit-files` without legend. Both
are the same in every release since 2012; the JSON output is not there in some that are still in use.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from outrider.domain.looks import Service
from outrider.engines.commands.steps import CannotDo, Ran, Steps

_BOOTED: Final = "run/systemd/system"
"""There while systemd is the init (sd_booted(3))."""
_ROOT: Final = Path("/")
PROGRAM: Final = "systemctl"
_QUIETLY: Final = ("--no-pager", "--no-ask-password")
_PROPERTIES: Final = (
    "Id",
    "Description",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "MainPID",
    "MemoryCurrent",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "StateChangeTimestampMonotonic",
)
_NOT_COUNTED: Final = 2**64 - 1
_ALIAS: Final = "alias"
_MICROSECONDS: Final = 1e6


def booted(root: Path = _ROOT) -> bool:
    """Tell whether systemd is this host's init."""
    return (root / _BOOTED).is_dir()


def require(steps: Steps, what: str) -> None:
    """Raise CannotDo, with what can't be done, where systemd does not run this host or can't be asked."""
    if not (booted(steps.root) and steps.has(PROGRAM)):
        raise CannotDo(
            f"systemd does not run this host (a container, a chroot, or another init), so {what} from here;"
            " a shell command can use what its init offers"
        )


async def ask(steps: Steps, *arguments: str) -> Ran:
    """Run systemctl with these arguments; it asks nobody for a password."""
    return await steps.program(PROGRAM, *_QUIETLY, *arguments)


async def show(steps: Steps, *units: str) -> list[Service]:
    """Ask how units are, by name or pattern. Raises CannotDo when systemd does not answer."""
    ran = await ask(steps, "show", f"--property={','.join(_PROPERTIES)}", "--", *units)
    if ran.exit_code != 0:
        raise CannotDo(f"systemd did not answer: {ran.said}")
    now, monotonic = steps.clock.time(), _boot_clock()
    return [_service(block, now - monotonic) for block in parse_show(ran.stdout.decode(errors="replace"))]


def _boot_clock() -> float:
    """Return the seconds that systemd's own times count, CLOCK_MONOTONIC, whatever clock commands are on."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


async def unit_files(steps: Steps) -> dict[str, str]:
    """Ask which services lie on disk, each with whether it is enabled. Raises CannotDo."""
    ran = await ask(steps, "list-unit-files", "--no-legend", "--type=service")
    if ran.exit_code != 0:
        raise CannotDo(f"systemd did not answer: {ran.said}")
    return parse_unit_files(ran.stdout.decode(errors="replace"))


def parse_show(text: str) -> list[dict[str, str]]:
    """Read what `systemctl show` prints: for each unit its properties."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not line:
            blocks.append({})
        elif equals:
            blocks[-1][name] = value
    return [block for block in blocks if block.get("Id")]


def parse_unit_files(text: str) -> dict[str, str]:
    """Read what `systemctl list-unit-files --no-legend` prints: units, each with its state.

    Aliases are other units' names, and templates no units yet: both are left out.
    """
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[1] != _ALIAS and not words[0].endswith("@.service"):  # noqa: PLR2004 - two columns
            found[words[0]] = words[1]
    return found


def _service(properties: Mapping[str, str], booted: float) -> Service:
    changed = _number(properties.get("StateChangeTimestampMonotonic")) or 0
    memory = _number(properties.get("MemoryCurrent"))
    ran = _number(properties.get("MainPID"))
    return Service(
        name=properties["Id"],
        description=properties.get("Description", ""),
        load=properties.get("LoadState", ""),
        active=properties.get("ActiveState", ""),
        sub=properties.get("SubState", ""),
        enabled=properties.get("UnitFileState", ""),
        pid=ran or None,
        memory_bytes=None if memory == _NOT_COUNTED else memory,
        restarts=_number(properties.get("NRestarts")),
        result=properties.get("Result", ""),
        exit_status=_number(properties.get("ExecMainStatus")),
        since=round(booted + changed / _MICROSECONDS, 3) if changed else None,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def joined(loaded: Iterable[Service], files: Mapping[str, str]) -> list[Service]:
    """Join the units that systemd has loaded with those that only lie on disk, by name."""
    services = {each.name: each for each in loaded}
    for name, enabled in files.items():
        services.setdefault(
            name,
            Service(
                name=name, description="", load="unloaded", active="inactive", sub="dead", enabled=enabled
            ),
        )
    return [services[name] for name in sorted(services)]


def own_units(cgroup: str) -> frozenset[str]:
    """Return the services that a process is part of, from the text of its /proc/self/cgroup."""
    return frozenset(
        part for line in cgroup.splitlines() for part in line.split("/") if part.endswith(".service")
    )
