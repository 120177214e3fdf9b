"""Figures beside their budgets, printed as a table with the machine they were taken on."""

import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.rig.folders import BENCH_HOMES

_SYNCS: Final = 40


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `budget` is the most it may be; without one it only explains the others."""

    name: str
    value: float
    unit: str
    budget: float | None = None

    @property
    def missed(self) -> bool:
        """Whether the figure is over its budget."""
        return self.budget is not None and self.value > self.budget


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of the values do not exceed. Raises ValueError for no values."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def table(title: str, figures: Sequence[Figure]) -> str:
    """Write figures as lines of `measured / budget / verdict / name`."""
    lines = [title, f"  {'measured':>16}  {'budget':>12}  {'':4}  figure"]
    for figure in figures:
        measured = f"{_number(figure.value)} {figure.unit}"
        budget = "" if figure.budget is None else f"{_number(figure.budget)} {figure.unit}"
        verdict = "" if figure.budget is None else "MISS" if figure.missed else "PASS"
        lines.append(f"  {measured:>16}  {budget:>12}  {verdict:4}  {figure.name}")
    return "\n".join(lines)


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 (three digits say enough)


def machine() -> str:
    """Describe this machine in a line, with what a durable write costs on the disk that homes are put on."""
    load = os.getloadavg()[0]
    return (
        f"machine: {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}, "
        f"load {load:.1f} before, fsync {_sync_milliseconds():.2f} ms in {BENCH_HOMES}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sync_milliseconds() -> float:
    took = []
    with tempfile.TemporaryFile(dir=BENCH_HOMES) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def say(text: str) -> None:
    """Tell the person what is going on now; the figures alone go to standard output."""
    sys.stderr.write(f"   {text}\n")
    sys.stderr.flush()
