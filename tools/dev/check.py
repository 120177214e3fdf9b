"""`./dev check`: every look at the code that needs no running part of it."""

import subprocess
import time
from typing import Final

from tools.dev import console
from tools.dev.places import PROGRAMS, ROOT

_STEPS: Final = {
    "lint": ("ruff", "check", "--quiet", "--output-format=concise"),
    "format": ("ruff", "format", "--check", "--quiet", "--output-format=concise"),
    "types": ("mypy",),
    "imports": ("lint-imports", "--no-logo"),
    "refusals": ("python", "-m", "tools.refusals"),
}


def check() -> int:
    """Run every step, also after one that failed; return 1 when any did."""
    failed: list[str] = []
    for name, (program, *arguments) in _STEPS.items():
        print(f"== {name}", flush=True)
        began = time.monotonic()
        ended = subprocess.run([str(PROGRAMS / program), *arguments], check=False, cwd=ROOT)
        _tell(name, began, ended.returncode, failed)
    print("== console", flush=True)
    began = time.monotonic()
    _tell("console", began, console.check(), failed)
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    print("all checks passed")
    return 0


def _tell(name: str, began: float, code: int, failed: list[str]) -> None:
    if code != 0:
        failed.append(name)
    print(f"   {'FAILED' if code else 'ok'} in {time.monotonic() - began:.1f} s", flush=True)
