"""Bundles for other Pythons and platforms, of wheels that pip fetches from wherever it is told to look."""

import asyncio
import contextlib
import importlib.util
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from outrider.center.bundles.errors import HashMismatch, NoRegistry, NoWheel
from outrider.center.bundles.glibc import Glibc, as_text, newest
from outrider.center.bundles.installed import Content, Installation
from outrider.center.bundles.packing import describe
from outrider.center.bundles.parts import PACKAGE, checked
from outrider.center.bundles.pins import Pin
from outrider.center.bundles.wheels import Wheel
from outrider.domain.bundles import BundleTarget
from outrider.kit import logs
from outrider.protocol.version import SPOKEN

Say = Callable[[str], None]
"""Tells the person who waits how far it has come."""

OLDEST_GLIBC: Final[Glibc] = (2, 28)
"""What wheels may ask for unless told otherwise: of 2018, older than any distribution with a fit Python."""
_MUSL: Final = ("musllinux_1_1", "musllinux_1_2")
_FIRST_MANYLINUX: Final = (2, 17)
_MOST_LINES: Final = 40
_LONGEST_LINE: Final = 64 * 1024
_UNREACHED: Final = re.compile(
    r"Retrying \(|connection error|ConnectionError|NewConnectionError|NameResolutionError|ReadTimeout"
    r"|SSLError|ProxyError|Could not fetch URL|No route to host|Network is unreachable"
)
_COLLECTING: Final = re.compile(r"^(?:Collecting|Processing) (\S+)")
_NO_MATCH: Final = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)")
_CHANGED: Final = re.compile(r"DO NOT MATCH THE HASHES.*?\n\s+([A-Za-z0-9._-]+)", re.DOTALL)

log = logs.get(__name__)


class Fetched:
    """The content of a bundle of fetched wheels; they are there until the block is left."""

    def __init__(
        self,
        target: BundleTarget,
        pins: Sequence[Pin],
        *,
        glibc: Glibc,
        options: Sequence[str],
        installation: Installation,
    ) -> None:
        """For `target`, of the wheels of `pins` that run on `glibc`, and of the agent of `installation`.

        `options` are pip's own, such as where to look.
        """
        self._target = target
        self._pins = pins
        self._glibc = glibc
        self._options = options
        self._installation = installation
        self._held = ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._held.close)

    async def content(self, say: Say) -> Content:
        """Fetch the wheels and collect what the bundle is made of.

        Raises NoRegistry, NoWheel, HashMismatch and InstallationUnfit.
        """
        folder = Path(
            await asyncio.to_thread(
                self._held.enter_context, tempfile.TemporaryDirectory(prefix="outrider-bundle-")
            )
        )
        await _download(self._pins, self._target, self._glibc, folder, self._options, say)
        return await asyncio.to_thread(self._collect, folder)

    def _collect(self, folder: Path) -> Content:
        version, parts = self._installation.agent()
        packages = {PACKAGE: version}
        glibc: Glibc | None = None
        files = _by_package(folder)
        for pin in self._pins:
            file = files.get((pin.name, Version(pin.version)))
            if file is None:
                raise _no_wheel(pin.name, self._target, self._glibc)
            wheel = self._held.enter_context(contextlib.closing(Wheel(file, pin)))
            packages[pin.name] = pin.version
            parts += wheel.parts()
            glibc = newest(glibc, wheel.glibc)
        sorted_parts = checked(parts)
        manifest = describe(
            sorted_parts,
            version=version,
            target=self._target,
            protocol=(SPOKEN.lowest, SPOKEN.highest),
            packages=packages,
            glibc=as_text(glibc),
        )
        return Content(manifest, sorted_parts)


def _by_package(folder: Path) -> dict[tuple[str, Version], Path]:
    found: dict[tuple[str, Version], Path] = {}
    for file in folder.iterdir():
        with contextlib.suppress(InvalidWheelFilename):
            name, version, _, _ = parse_wheel_filename(file.name)
            found[name, version] = file
    return found


def platform_tags(target: BundleTarget, glibc: Glibc) -> list[str]:
    """Return the tags of wheels that run on a platform, what runs on the oldest systems first."""
    if target.is_musl:
        return [f"{each}_{target.machine}" for each in _MUSL]
    major, minor = glibc
    first_major, first = _FIRST_MANYLINUX
    minors = range(first, minor + 1) if major == first_major else ()
    return [f"manylinux_{major}_{each}_{target.machine}" for each in minors] + [
        f"manylinux2014_{target.machine}"
    ]


async def _download(
    pins: Sequence[Pin],
    target: BundleTarget,
    glibc: Glibc,
    folder: Path,
    options: Sequence[str],
    say: Say,
) -> None:
    if importlib.util.find_spec("pip") is None:
        raise NoRegistry(
            "pip fetches the packages, and it is not installed beside the center: "
            f"{sys.executable} -m ensurepip"
        )
    wanted = folder / "pins.txt"
    await asyncio.to_thread(wanted.write_text, "".join(f"{pin.line}\n" for pin in pins), encoding="ascii")
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "--no-color",
            "--retries=2",
        ),
        *("download", "--require-hashes", "--no-deps", "--only-binary=:all:", "--progress-bar=off"),
        *(f"--python-version={target.python}", "--implementation=cp", f"--abi={target.abi}"),
        *(f"--platform={tag}" for tag in platform_tags(target, glibc)),
        *(f"--dest={folder}", f"--requirement={wanted}"),
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=_LONGEST_LINE,
    )
    try:
        said = await _listen(process, len(pins), say)
        await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise _refused("\n".join(said), target, glibc)


async def _listen(process: asyncio.subprocess.Process, count: int, say: Say) -> list[str]:
    """Follow what pip says; return the end of it."""
    if process.stdout is None:
        raise RuntimeError("pip was started without its output")
    said: list[str] = []
    number = 0
    async for line in process.stdout:
        text = line.decode("utf-8", "replace").rstrip()
        said = [*said[-_MOST_LINES:], text]
        if found := _COLLECTING.match(text):
            number += 1
            say(f"fetching {_package_in(found[1])} ({number} of {count})")
    return said


def _package_in(text: str) -> str:
    """Name the package of what pip says that it fetches: a requirement, or the path of a wheel."""
    name = text.rpartition("/")[2]
    return name.partition("-" if name.endswith(".whl") else "==")[0]


def _refused(said: str, target: BundleTarget, glibc: Glibc) -> NoRegistry | NoWheel | HashMismatch:
    """Make the error of what pip has said."""
    log.debug("pip failed", said=said)
    if changed := _CHANGED.search(said):
        return HashMismatch(
            f"{changed[1]} is not what was locked: the registry, or somebody between it and here, has "
            "changed it. Nothing was made.",
            package=changed[1],
        )
    if unreached := next((line for line in said.splitlines() if _UNREACHED.search(line)), None):
        return NoRegistry(
            "The package registry can't be reached. It is where pip's own settings say (pip config, "
            f"PIP_INDEX_URL), or --index-url. pip says: {unreached[:300]}"
        )
    if missing := _NO_MATCH.search(said):
        return _no_wheel(missing[1], target, glibc)
    return NoRegistry(f"pip could not fetch the packages: {_last(said)}")


def _no_wheel(package: str, target: BundleTarget, glibc: Glibc) -> NoWheel:
    older = "" if target.is_musl else f" that runs on glibc {as_text(glibc)} (--glibc takes a newer one)"
    return NoWheel(
        f"Where pip looks there is no wheel of {package} for {target}{older}: agents can't run there, or it "
        "looks at an incomplete mirror.",
        package=package,
    )


def _last(said: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    return (errors or said.splitlines() or ["nothing"])[-1][:300]
