"""Which modules a program loads, and which of them belong to the center alone."""

import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_REQUIREMENTS: Final = Path(__file__).resolve().parents[2] / "requirements"
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_IMPORTED: Final = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)
_OTHER_ROOMS: Final = frozenset({"outrider.center", "outrider.cli", "outrider.client", "outrider.testing"})
_OF_THE_CLI_OR_A_CHILD: Final = frozenset({"rich", "cyclopts", "cryptography"})
"""Installed on every host, for the CLI and for the child that makes the key pair; the daemon loads none."""


def imported(log: str) -> set[str]:
    """Return the modules that a Python started with `-X importtime` says it loaded.

    Raises ValueError for a log that names none: that would prove nothing.
    """
    found = set(_IMPORTED.findall(log))
    if not found:
        raise ValueError("the log does not say what was imported")
    return found


def foreign_to_the_daemon(modules: Iterable[str]) -> list[str]:
    """Return those modules that a host's daemon has no business to load, by top-level package or room."""
    packages = _center_only_packages() | _OF_THE_CLI_OR_A_CHILD
    found = set()
    for module in modules:
        parts = module.split(".")
        found |= {parts[0]} & packages
        found |= {".".join(parts[:2])} & _OTHER_ROOMS
    return sorted(found)


def _center_only_packages() -> set[str]:
    only_center = _locked("center.txt") - _locked("agent.txt")
    return {
        package
        for package, distributions in importlib.metadata.packages_distributions().items()
        if {_normal(name) for name in distributions} <= only_center
    }


def _locked(name: str) -> set[str]:
    text = (_REQUIREMENTS / name).read_text(encoding="utf-8")
    return {_normal(found) for found in _PINNED.findall(text)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
