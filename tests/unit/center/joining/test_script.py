"""The install script: what shells make of it, what it carries, and what half of it does."""

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from outrider.bootstrap.program import program
from outrider.bootstrap.request import Request
from outrider.center.joining.script import InstallSettings, install_script

_SETTINGS: Final = InstallSettings(
    center_url="https://center.example:8443",
    ca_pem="-----BEGIN CERTIFICATE-----\n'\"$(reboot)`\n-----END CERTIFICATE-----\n",
    enrolment_key="oek_abcdefgh1234_secret",
)
# An installer that only tells what it was given.
_TELLS: Final = """
import json, os, sys
given = [word for word in sys.argv[1:] if word.startswith("/proc/")]
print(json.dumps([sys.argv[1:], [open(each).read() for each in given], os.readlink("/proc/self/fd/0")]))
sys.exit(7)
"""
_SHELLS = pytest.mark.parametrize("shell", ["sh", "dash", "bash"])


def _zipapp(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", text)
    return packed.getvalue()


def _run(script: bytes, shell: str, folder: Path, *words: str, uid: int = 0) -> Any:
    """Run a script where `id` says that one is `uid`; programs in `folder` come first."""
    (folder / "id").write_text(f"#!/bin/sh\necho {uid}\n")
    (folder / "id").chmod(0o755)
    environ = {"PATH": f"{folder}:{os.environ['PATH']}"}
    command = (shell, "-s", "--", *words)
    return subprocess.run(command, input=script, capture_output=True, check=False, env=environ)


@pytest.fixture(scope="module")
def script() -> bytes:
    """Give the script around the real installer."""
    return install_script(program(), _SETTINGS)


@_SHELLS
def test_each_shell_reads_it(script: bytes, tmp_path: Path, shell: str) -> None:
    """It has no word that only one of them knows, and its help needs no root."""
    check = (shell, "-n")
    checked = subprocess.run(check, input=script, check=False, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, b"")
    helped = _run(script, shell, tmp_path, "--help", uid=1000)
    assert helped.returncode == 0
    for word in ("--label", "--adopt", "--uninstall", "--keep-data", "--home", "https://center.example:8443"):
        assert word in helped.stdout.decode()


def test_half_of_it_does_nothing(script: bytes) -> None:
    """A download that was cut off anywhere is a mistake to the shell, and no half of an install."""
    shell = ("/bin/sh",)
    for cut in range(200, len(script) - 30, len(script) // 20):
        ended = subprocess.run(shell, input=script[:cut], capture_output=True, check=False, env={})
        assert ended.stdout == b"", cut
        assert b"FAILED" not in ended.stderr, cut


@_SHELLS
def test_the_installer_gets_its_words_and_settings(tmp_path: Path, shell: str) -> None:
    """Settings as they were, options as they were said, an empty standard input; its exit code is passed on.

    Neither program nor settings have a name on any disk.
    """
    ended = _run(
        install_script(_zipapp(_TELLS), _SETTINGS), shell, tmp_path, "--label", "it's a b", "--adopt"
    )
    words, files, stdin = json.loads(ended.stdout)
    assert ended.returncode == 7
    assert words[:2] == ["install", "--settings"]
    assert words[3:] == ["--label", "it's a b", "--adopt"]
    assert stdin == "/dev/null"
    request = Request.parse(files[0])
    assert (request.center_url, request.ca_pem) == (_SETTINGS.center_url, _SETTINGS.ca_pem)
    assert request.enrolment_key == _SETTINGS.enrolment_key


def test_uninstall_is_told_no_settings(tmp_path: Path) -> None:
    """It takes away what is there, whatever the script was made for; its own options come along."""
    ended = _run(install_script(_zipapp(_TELLS), _SETTINGS), "sh", tmp_path, "--keep-data", "--uninstall")
    assert json.loads(ended.stdout)[0] == ["uninstall", "--keep-data"]


def test_the_real_installer_comes_whole(script: bytes, tmp_path: Path) -> None:
    """What arrives is the zipapp: it says what is wrong with a word that it does not know."""
    ended = _run(script, "sh", tmp_path, "--no-such-option")
    assert ended.returncode == 2
    assert b"--no-such-option" in ended.stderr


def test_who_is_not_root_and_what_is_too_old(script: bytes, tmp_path: Path) -> None:
    """Both are told at once, by the shell itself."""
    ended = _run(script, "sh", tmp_path, uid=1000)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"FAILED at preflight: an agent is installed as root" in ended.stderr
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 15))):
        (tmp_path / name).write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\n')
        (tmp_path / name).chmod(0o755)
    ended = _run(script, "sh", tmp_path)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"Python 3.11 or newer is needed, and here is Python 3.9.2" in ended.stderr
