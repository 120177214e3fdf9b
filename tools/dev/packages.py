"""Debian packages that chores need: installed when we are root, otherwise named with the line to type."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.dev.failure import ChoreError


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package, why it is needed, and how to tell that what it brings is there."""

    name: str
    reason: str
    present: Callable[[], bool]


# Every package that any chore needs, with its reason, in this one place.
VENV_PACKAGE: Final = Package(
    "python3-venv",
    "makes .venv; Debian keeps it apart from python3",
    lambda: importlib.util.find_spec("ensurepip") is not None,
)
TEST_PACKAGES: Final = (
    Package(
        "postgresql",
        "the store is tested on a real server",
        lambda: any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
    ),
    Package("zsh", "completion is tested in the real shell", lambda: shutil.which("zsh") is not None),
    Package("fish", "completion is tested in the real shell", lambda: shutil.which("fish") is not None),
    Package(
        "systemd-journal-remote",
        "the journal's logs are tested on real journal files, read by the real journalctl that it brings",
        lambda: (
            Path("/usr/lib/systemd/systemd-journal-remote").exists()
            and shutil.which("journalctl") is not None
        ),
    ),
    Package(
        "openssh-client",
        "deployments are tested with a real SSH agent",
        lambda: shutil.which("ssh-agent") is not None and shutil.which("ssh-add") is not None,
    ),
    Package(
        "git",
        "the last release is taken from the repository, and run beside this one",
        lambda: shutil.which("git") is not None,
    ),
    Package(
        "curl",
        "the guides' command lines are tested as they are printed",
        lambda: shutil.which("curl") is not None,
    ),
    Package(
        "chromium",
        "the console is tested in a real browser",
        lambda: shutil.which("chromium") is not None,
    ),
    Package(
        "systemd",
        "the unit of an installed agent is verified by systemd's own program",
        lambda: shutil.which("systemd-analyze") is not None,
    ),
    Package(
        "debootstrap",
        "agents are installed on a bare Debian host that is made for it",
        lambda: shutil.which("debootstrap") is not None,
    ),
    Package(
        "iproute2",
        "that host gets a network with nothing but the center in it",
        lambda: shutil.which("ip") is not None,
    ),
)


def ensure(packages: Sequence[Package]) -> None:
    """Make sure that all `packages` are there; raises ChoreError that names those that can't be had."""
    missing = _missing(packages)
    if not missing:
        return
    names = [package.name for package in missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ChoreError(_request(missing))
    print(f"installing Debian packages: {' '.join(names)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wait_for_lock = "--option=DPkg::Lock::Timeout=120"
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", wait_for_lock, "--no-install-recommends", *names],
    ):
        ended = subprocess.run(
            command,
            env=environment,
            check=False,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if ended.returncode != 0:
            raise ChoreError(f"{ended.stdout}`{' '.join(command)}` failed\n{_request(missing)}")
    importlib.invalidate_caches()
    if still := _missing(packages):
        raise ChoreError(_request(still))


def _missing(packages: Sequence[Package]) -> list[Package]:
    return [package for package in packages if not package.present()]


def _request(missing: Sequence[Package]) -> str:
    reasons = "\n".join(f"  {package.name}: {package.reason}" for package in missing)
    names = " ".join(package.name for package in missing)
    return f"missing on this machine:\n{reasons}\ninstall with:\n  apt-get install {names}"
