"""`./dev lock`: pin every package, with the hashes of all its files, from what pyproject.toml asks for.

The lock names no index, so it works wherever pip is told to look. `requirements/dev.txt` is settled
first and binds the others, so that all three carry the same versions. The agent's pins ship inside the
package too: a center makes bundles for other platforms by them.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools.dev import packages
from tools.dev.environment import base_python
from tools.dev.failure import ChoreError
from tools.dev.places import AGENT_PINS, EVERYTHING_LOCKED, REQUIREMENTS, ROOT

_OLDEST_PYTHON: Final = "3.11"
_LOCKS: Final = {
    "dev.txt": ("--extra=center", "--group=dev"),
    "center.txt": ("--extra=center",),
    "agent.txt": (),
}


def lock(arguments: list[str]) -> int:
    """Write requirements/*.txt anew. Pins that still fit are kept unless `--upgrade` is given."""
    packages.ensure([packages.VENV_PACKAGE])
    REQUIREMENTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="outrider-lock-") as folder:
        # The resolver is a tool of this chore alone: it is fetched, used and thrown away.
        _run(base_python(), "-m", "venv", folder)
        _run(f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "uv")
        for name, selection in _LOCKS.items():
            _compile(Path(folder) / "bin" / "uv", name, selection, arguments)
    AGENT_PINS.write_bytes((REQUIREMENTS / "agent.txt").read_bytes())
    print(f"wrote {AGENT_PINS.relative_to(ROOT)}", flush=True)
    return 0


def _compile(uv: Path, name: str, selection: tuple[str, ...], arguments: list[str]) -> None:
    target = REQUIREMENTS / name
    bound = () if target == EVERYTHING_LOCKED else (f"--constraints={EVERYTHING_LOCKED.relative_to(ROOT)}",)
    _run(
        *(str(uv), "pip", "compile", "pyproject.toml", "--quiet"),
        *("--universal", f"--python-version={_OLDEST_PYTHON}", f"--python={sys.executable}"),
        *(
            "--generate-hashes",
            "--no-header",
            "--annotation-style=line",
            "--no-emit-index-url",
            "--no-emit-find-links",
        ),
        f"--output-file={target.relative_to(ROOT)}",
        *selection,
        *bound,
        *arguments,
    )
    print(f"wrote {target.relative_to(ROOT)}", flush=True)


def _run(*command: str) -> None:
    ended = subprocess.run(command, check=False, cwd=ROOT, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        raise ChoreError(f"`{' '.join(command)}` failed (exit code {ended.returncode})")
