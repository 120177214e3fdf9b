"""Hosts on which a terminal can't be had as elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="run as root")

_OPEN = """
import json, os, sys
from outrider.domain.errors import OutriderError
from outrider.domain.ids import TerminalId
from outrider.engines.terminal.start import TerminalSpec, start_terminal

before = len(os.listdir("/proc/self/fd"))
spec = TerminalSpec(terminal_id=TerminalId("term_000000000000"), columns=80, rows=24, term="xterm")
try:
    started = start_terminal(spec, {})
except OutriderError as error:
    print(json.dumps([error.code, error.detail, len(os.listdir("/proc/self/fd")) - before]))
    sys.exit()
_, status = os.waitpid(started.record.pid, 0)
shown = os.read(started.master, 65536).decode()
print(json.dumps([os.waitstatus_to_exitcode(status), shown, 0]))
"""


def opened(mounts: str, folder: Path) -> tuple[str | int, str, int]:
    """Open a terminal where these mounts are: the error's code or the shell's, a text, what was left open."""
    done = subprocess.run(
        [
            "/usr/bin/unshare",
            "--mount",
            "sh",
            "-c",
            f'{mounts} && exec "$@"',
            str(folder),
            sys.executable,
            "-c",
            _OPEN,
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    code, text, left = json.loads(done.stdout)
    return code, text, left


@pytest.mark.parametrize(
    "mounts",
    ["mount --bind /dev/null /dev/ptmx && mount -t tmpfs none /dev/pts", "mount -t tmpfs none /dev"],
    ids=["pts", "dev"],
)
def test_a_host_without_pseudo_terminals(tmp_path: Path, mounts: str) -> None:
    """Says that it has none, and what would have to be there; nothing is left of the attempt."""
    code, text, left = opened(mounts, tmp_path)
    assert (code, left) == ("no_terminal", 0), text
    assert "/dev/pts" in text


def test_a_shell_that_is_not_there(tmp_path: Path) -> None:
    """The terminal says which, and ends with the code that every shell has for it."""
    accounts = tmp_path / "passwd"
    lines = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
    accounts.write_text("\n".join(["root:x:0:0:root:/root:/no/such/shell", *lines, ""]))
    code, text, _ = opened('mount --bind "$0/passwd" /etc/passwd', tmp_path)
    assert code == 127
    assert "/no/such/shell" in text
