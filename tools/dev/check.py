"""`./dev check`: every look at the code that needs no running part of it."""

import subprocess
import time
from typing import Final

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
    failed = []
    for name, (program, *arguments) in _STEPS.items():
        print(f"== {name}", flush=True)
        began = time.monotonic()
        ended = subprocess.run([str(PROGRAMS / program), *arguments], check=False, cwd=ROOT)
        seconds = time.monotonic() - began
        if ended.returncode != 0:
            failed.append(name)
        print(f"   {'FAILED' if ended.returncode else 'ok'} in {seconds:.1f} s", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    print("all checks passed")
    return 0
