"""How large the agent's bundle is, on its way and on a host, and what making it takes."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from bench.rig.figures import Figure, say
from bench.rig.folders import BENCH_HOMES
from bench.rig.options import Options, run
from outrider.center.bundles.installed import Content, Installation
from outrider.center.bundles.packing import pack

TITLE = "the agent's bundle: size"
_MEGABYTE = 1_000_000
_ARCHIVE_MB = 20.0
_LARGEST = 5


async def measure(_options: Options) -> list[Figure]:
    """Make the bundle of this installation."""
    say("making the bundle of this installation")
    return await asyncio.to_thread(_make)


def _make() -> list[Figure]:
    installation = Installation()
    began = time.monotonic()
    installation.fingerprint()
    looked = time.monotonic() - began
    began, cpu = time.monotonic(), time.process_time()
    content = installation.content()
    with tempfile.TemporaryFile(dir=BENCH_HOMES) as sink:
        packed = pack(sink, content.manifest, content.parts)
    took, used = time.monotonic() - began, time.process_time() - cpu
    return [
        Figure("archive", packed.size / _MEGABYTE, "MB", _ARCHIVE_MB),
        Figure("unpacked", content.manifest.unpacked / _MEGABYTE, "MB"),
        Figure("files", len(content.parts), "files"),
        Figure("looking whether the installation has changed", looked * 1000, "ms"),
        Figure("making it", took, "s"),
        Figure("making it, processor time", used, "s"),
        *_largest(content),
    ]


def _largest(content: Content) -> list[Figure]:
    sizes: dict[str, int] = {}
    for part in content.parts:
        top = Path(part.name).parts[0]
        sizes[top] = sizes.get(top, 0) + part.size
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:_LARGEST]
    return [Figure(f"unpacked: {name}", sizes[name] / _MEGABYTE, "MB") for name in largest]


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
