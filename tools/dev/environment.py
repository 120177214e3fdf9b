"""The `.venv` beside `./dev`: exactly the locked packages, and this tree, installed to be edited.

A stamp in `.venv` records what it was made from, so that a chore which finds it unchanged starts at once.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.dev import packages
from tools.dev.failure import ChoreError
from tools.dev.places import EVERYTHING_LOCKED, PROGRAMS, PROJECT, ROOT, VENV

_STAMP: Final = VENV / "outrider-stamp.json"
_PYTHON: Final = PROGRAMS / "python"
_PIP: Final = (str(_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_LIST: Final = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
_NOT_LOCKED: Final = frozenset({"outrider", "pip"})


def ensure() -> None:
    """Bring `.venv` up to date with the lock and the project; raises ChoreError when that fails."""
    with _alone():
        wanted = _wanted()
        found = _found()
        if found == wanted:
            return
        if not os.access(_PYTHON, os.X_OK) or found.get("place", wanted["place"]) != wanted["place"]:
            packages.ensure([packages.VENV_PACKAGE])
            print("making .venv", flush=True)
            _run(base_python(), "-m", "venv", "--clear", str(VENV))
        if found.get("locked") != wanted["locked"]:
            print("installing the locked packages", flush=True)
            _run(
                *_PIP,
                "install",
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
                "-r",
                str(EVERYTHING_LOCKED),
            )
            _remove_what_is_not_locked()
        _run(*_PIP, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        _write_stamp(wanted)


def base_python() -> str:
    """Return the interpreter that virtual environments are made from, also when we run in one."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(Path(sys.base_prefix) / "bin" / version)


@contextmanager
def _alone() -> Iterator[None]:
    """Let one `./dev` at a time touch `.venv`: the tree itself is what they agree on."""
    tree = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(tree, fcntl.LOCK_EX)
        yield
    finally:
        os.close(tree)


def _wanted() -> dict[str, str]:
    return {
        "place": f"{VENV} {platform.python_version()}",
        "locked": hashlib.sha256(EVERYTHING_LOCKED.read_bytes()).hexdigest(),
        "project": hashlib.sha256(PROJECT.read_bytes()).hexdigest(),
    }


def _found() -> dict[str, str]:
    if not os.access(_PYTHON, os.X_OK):
        return {}
    try:
        stamp: dict[str, str] = json.loads(_STAMP.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return stamp


def _write_stamp(stamp: dict[str, str]) -> None:
    draft = _STAMP.with_suffix(".draft")
    draft.write_text(json.dumps(stamp))
    draft.replace(_STAMP)


def _remove_what_is_not_locked() -> None:
    """A package that the lock dropped must not go on being there on old machines only."""
    listed = subprocess.run([str(_PYTHON), "-c", _LIST], check=True, text=True, stdout=subprocess.PIPE)
    locked = {_normal(name) for name in _PINNED.findall(EVERYTHING_LOCKED.read_text())} | _NOT_LOCKED
    extra = [name for name in listed.stdout.split() if _normal(name) not in locked]
    if extra:
        _run(*_PIP, "uninstall", "-y", *extra)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*command: str) -> None:
    # pip builds with the programs of .venv, so they must be found first.
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ.get('PATH', '')}"}
    ended = subprocess.run(command, check=False, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        raise ChoreError(f"`{' '.join(command)}` failed (exit code {ended.returncode})")
