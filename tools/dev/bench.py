"""`./dev bench`: each benchmark is a program in bench/ that prints its figure beside its budget."""

import subprocess

from tools.dev.failure import ChoreError
from tools.dev.places import BENCH, PROGRAMS, ROOT


def bench(names: list[str]) -> int:
    """Run the named benchmarks, or all in order of name; return 1 when any failed."""
    known = sorted(path.stem for path in BENCH.glob("*.py") if not path.stem.startswith("_"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ChoreError(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known) or 'none'}")
    failed = False
    for name in names or known:
        print(f"== {name}", flush=True)
        ended = subprocess.run([str(PROGRAMS / "python"), "-m", f"bench.{name}"], check=False, cwd=ROOT)
        failed = failed or ended.returncode != 0
    return int(failed)
