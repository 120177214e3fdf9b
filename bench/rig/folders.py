"""Where the programs under measurement keep their data."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

BENCH_HOMES: Final = Path("/var/tmp")  # noqa: S108 (mkdtemp makes what is in it; /tmp may be memory, without a disk)
"""On a real disk: a benchmark of durable writes must pay for them."""


@contextmanager
def home() -> Iterator[Path]:
    """Make a fresh folder and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="outrider-bench-", dir=BENCH_HOMES))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
