"""The texts that are put on a host."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from outrider.bootstrap import scripts
from outrider.bootstrap.layout import Layout

_ODD = Layout(prefix=Path("/srv/it's here/$HOME"))


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
@pytest.mark.parametrize("script", [scripts.launcher, scripts.shim])
def test_each_shell_reads_them(shell: str, script: Callable[[Layout], bytes]) -> None:
    """Also with a prefix that needs quoting."""
    for layout in (Layout(), _ODD):
        subprocess.run([shell, "-n"], input=script(layout), check=True)


def test_the_launcher_becomes_the_program(tmp_path: Path) -> None:
    """Under a python3 that is new enough, with all its words, whatever is in them."""
    layout = Layout(prefix=tmp_path / "it's here")
    layout.prefix.mkdir()
    layout.program.write_text("import sys; print(sys.flags.isolated, sys.argv[1:])")
    layout.launcher.write_bytes(scripts.launcher(layout))
    command = ("sh", str(layout.launcher), "cli", "a b")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "1 ['cli', 'a b']\n"


def test_the_launcher_passes_over_what_is_too_old(tmp_path: Path) -> None:
    """It looks on for one that is named by its version, and says so when there is none."""
    bins = tmp_path / "bin"
    bins.mkdir()
    layout = Layout(prefix=tmp_path)
    layout.launcher.write_bytes(scripts.launcher(layout))
    (bins / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bins / "python3").chmod(0o755)
    command = ["/bin/sh", str(layout.launcher), "run"]
    none = subprocess.run(command, env={"PATH": str(bins)}, capture_output=True, text=True, check=False)
    assert (none.returncode, none.stderr) == (
        1,
        "outrider: there is no python3 of 3.11 or newer on this host any more\n",
    )
    (bins / "python3.12").write_text('#!/bin/sh\n[ "$2" = -c ] || echo "$@"\n')
    (bins / "python3.12").chmod(0o755)
    found = subprocess.run(command, env={"PATH": str(bins)}, capture_output=True, text=True, check=True)
    assert found.stdout == f"-I {layout.program} run\n"


def test_each_has_the_mark() -> None:
    """By it an uninstall knows what is ours."""
    for script in (scripts.launcher, scripts.shim, scripts.unit):
        assert scripts.MARK.encode() in script(Layout())


@pytest.mark.system
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about it: no unknown or misspelt line."""
    layout = Layout.under(tmp_path)
    layout.prefix.mkdir(parents=True)
    layout.launcher.write_text("#!/bin/sh\n")
    layout.launcher.chmod(0o755)
    unit = tmp_path / layout.unit.name
    unit.write_bytes(scripts.unit(layout))
    command = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
