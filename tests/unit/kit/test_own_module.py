"""Modules of the program as processes of their own, wherever the program lies."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.kit import own_module as module
from outrider.kit.own_module import own_module

_SAYS = (
    "import json,sys;print(json.dumps([__name__,sys.argv[1:],sys.path[0],sys.flags.isolated,"
    "sys.flags.no_site,'site' in sys.modules]))"
)


@pytest.mark.parametrize("flags", [("-I",), ("-I", "-S"), ("-P",)], ids="".join)
def test_a_program_that_was_only_unpacked_finds_its_own_modules(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """Its child finds them in the same folder, gets its arguments, and is as isolated as its parent."""
    package = tmp_path / "outrider"
    (package / "kit").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "kit" / "__init__.py").touch()
    shutil.copy(str(module.__file__), package / "kit" / "own_module.py")
    (package / "says.py").write_text(_SAYS)
    starts = (
        "import sys,subprocess;sys.path.insert(0,sys.argv[1]);"
        "from outrider.kit.own_module import own_module;"
        "sys.exit(subprocess.call([*own_module('outrider.says'),'one','two words']))"
    )
    ended = subprocess.run(
        [sys.executable, *flags, "-c", starts, str(tmp_path)],
        check=True,
        cwd="/",
        capture_output=True,
        text=True,
    )
    name, arguments, first, isolated, no_site, site = json.loads(ended.stdout)
    assert (name, arguments, first) == ("__main__", ["one", "two words"], str(tmp_path))
    assert (isolated, no_site) == (int("-I" in flags), int("-S" in flags))
    assert site == ("-S" not in flags)


def test_a_module_of_the_working_folder_is_never_taken(tmp_path: Path) -> None:
    """Whoever can write where the program happens to be started does not get their code run."""
    (tmp_path / "outrider").mkdir()
    (tmp_path / "outrider" / "__init__.py").write_text("raise SystemExit('taken')")
    ended = subprocess.run(
        [*own_module("outrider"), "--version"], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.stdout.startswith("outrider ")
