"""Which parts of the standard library an agent needs. Loads next to nothing, to run without them."""

from __future__ import annotations

import importlib.util

NEEDED: tuple[str, ...] = (
    "asyncio",
    "concurrent.futures",
    "ctypes",
    "dataclasses",
    "decimal",
    "http.client",
    "json",
    "secrets",
    "shutil",
    "sqlite3",
    "ssl",
    "tarfile",
    "tomllib",
    "uuid",
    "zlib",
)
"""Debian's python3-minimal and some images for containers leave several of them out."""


def missing() -> list[str]:
    """The names of those parts that this Python lacks."""
    return [name for name in NEEDED if not _is_there(name)]


def remedy(lacking: list[str]) -> str:
    """What to tell a person whose Python lacks these."""
    return (
        f"python3 is not whole here: it lacks {', '.join(lacking)}. "
        "On Debian and Ubuntu: apt-get install python3"
    )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
