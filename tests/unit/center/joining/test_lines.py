"""The lines that people paste: what they fetch, by what they know the center, and how they fail."""

import base64
import shlex
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from outrider.center.joining.lines import InstallLines, install_lines
from outrider.center.joining.outward import Outward

_KEY = "oek_abcdefgh1234_s-e_cret.pin+pin"


@pytest.fixture(scope="module")
def authority() -> bytes:
    """Give a certificate authority as PEM."""
    return trustme.CA().cert_pem.bytes()


def _with_stand_in(line: str, folder: Path, program: str, text: str) -> "subprocess.CompletedProcess[str]":
    """Run a line with another curl or python3, which gets its arguments and standard input into files."""
    (folder / program).write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/words\ntest -t 0 || cat > {folder}/stdin\n{text}\n'
    )
    (folder / program).chmod(0o755)
    command = ("sh", "-c", line)
    environ = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def _lines(authority: bytes, url: str = "https://center.example:8443") -> InstallLines:
    return install_lines(Outward(url, authority), _KEY)


def test_curl_gets_the_authority_and_the_address(authority: bytes, tmp_path: Path) -> None:
    """The authority comes whole through a pipe, the key whole in the address; what is fetched is run."""
    line = _lines(authority).curl
    assert line is not None
    ran = _with_stand_in(line, tmp_path, "curl", "echo 'echo it runs; exit 3'")
    assert (ran.returncode, ran.stdout) == (3, "it runs\n")
    assert (tmp_path / "words").read_text().splitlines() == [
        "-fsS",
        "--cacert",
        "/dev/stdin",
        "https://center.example:8443/api/agents/install-script?key=oek_abcdefgh1234_s-e_cret.pin%2Bpin",
    ]
    assert (tmp_path / "stdin").read_bytes() == authority.strip() + b"\n"


def test_what_is_not_fetched_fails_the_line(authority: bytes, tmp_path: Path) -> None:
    """Its exit code is curl's: whoever runs it by a program is not told that all went well."""
    line = _lines(authority).curl
    assert line is not None
    assert _with_stand_in(line, tmp_path, "curl", "echo half of it; exit 60").returncode == 60


def test_python_alone(authority: bytes, tmp_path: Path) -> None:
    """One argument that Python can read, with the authority and the address in it."""
    line = _lines(authority).python
    assert line is not None
    ran = _with_stand_in(line, tmp_path, "python3", "echo 'echo it runs'")
    assert ran.stdout == "it runs\n"
    program = (tmp_path / "words").read_text().removeprefix("-c\n")
    compile(program, "line", "exec")
    assert 'create_connection(("center.example",8443),30)' in program
    assert 'server_hostname="center.example"' in program
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(authority.decode())).decode()
    assert f'cadata=base64.b64decode("{der}")' in program
    assert "oek_abcdefgh1234_s-e_cret.pin%2Bpin" in program


def test_where_the_systems_authorities_vouch() -> None:
    """Neither line names one."""
    lines = install_lines(Outward("https://center.example", b""), _KEY)
    assert lines.curl is not None
    assert lines.python is not None
    assert "cacert" not in lines.curl
    assert "cadata" not in lines.python
    assert '("center.example",443)' in lines.python
    shlex.split(lines.curl)


def test_the_newest_of_two_authorities(authority: bytes) -> None:
    """While one takes over from another, the line carries the one that signs: one is long enough."""
    older = trustme.CA().cert_pem.bytes()
    assert _lines(authority + older).curl == _lines(authority).curl


def test_without_an_address_there_is_no_line() -> None:
    """But a note that says what to do."""
    lines = install_lines(Outward("", b""), _KEY)
    assert (lines.url, lines.curl, lines.python) == (None, None, None)
    assert "OUTRIDER_TLS_LISTEN=0.0.0.0:8443" in lines.note
