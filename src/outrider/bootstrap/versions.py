"""The versions of the agent on a host: put in place whole, tried, and removed when nothing needs them.

Who changes something here holds `locked()`; the launcher does not, because it is the only one that is there
before an agent runs, and what it does is one durable step after the other (`trials`).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from outrider.bootstrap import durable, trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outrider.bootstrap.layout import Layout
    from outrider.bootstrap.target import Target

MANIFEST: Final = "bundle.json"
SITE: Final = "site"
FORMAT: Final = 1
CHECK_SECONDS: Final = 60.0
_NEW: Final = ".new-"
_LOCK: Final = "versions.lock"
_MAX_FILE: Final = 256 * 1024
_SAID: Final = 500
_TEXTS: Final = ("version", "build", "python", "platform")
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {"str": str, "bool": bool, "float": (int, float)}
# What the daemon itself loads is loaded; nothing of it is run.
_CHECK: Final = (
    "import sys;sys.path.insert(0,sys.argv.pop(1));"
    "import outrider.agent.app,outrider;print(outrider.__version__)"
)


Record = TypeVar("Record", trials.Trial, trials.Outcome)


class BadVersion(Exception):
    """A version that can't be used here; the text says why."""


class Busy(Exception):
    """Somebody else installs or updates at this moment."""


class Versions:
    """The versions below one prefix. A version is named by its folder: `<version>-<build>-cp311`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def installed(self) -> list[str]:
        """The names of all versions that are there, whole."""
        try:
            names = [folder.name for folder in self.layout.versions.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(name for name in names if not name.startswith("."))

    @property
    def current(self) -> str | None:
        """The version that `current` leads to; None when there is none."""
        return self._name_behind(self.layout.current)

    @property
    def previous(self) -> str | None:
        """The last good version before it; None when there is none."""
        return self._name_behind(self.layout.previous)

    def site(self, name: str) -> Path:
        """The folder of a version that `python3 -I -S` runs."""
        return self.layout.version(name) / SITE

    def manifest(self, name: str) -> dict[str, Any]:
        """What a version says of itself. Raises BadVersion."""
        return read_manifest(self.layout.version(name))

    def described(self, name: str) -> str:
        """A version as people read it: `0.1.0 (build 0123456789ab)`."""
        try:
            manifest = self.manifest(name)
        except BadVersion:
            return name or "no version"
        return f"{manifest['version']} (build {manifest['build']})"

    def fits(self, name: str, target: Target) -> bool:
        """Tell whether a version is there and made for `target`."""
        try:
            manifest = self.manifest(name)
        except BadVersion:
            return False
        return _is_for(manifest, target)

    def trial(self) -> trials.Trial | None:
        """The trial that is under way; None when there is none, or nothing that can be read."""
        trial = _as(trials.Trial, _read(self.layout.trial))
        return trial if trial is not None and trial.stage in trials.STAGES else None

    def outcome(self) -> trials.Outcome | None:
        """How the last trial ended."""
        return _as(trials.Outcome, _read(self.layout.outcome))

    def state(self, target: Target) -> trials.State:
        """All that the trial's rules look at."""
        return trials.State(
            current=self.current,
            previous=self.previous,
            trial=self.trial(),
            fitting=frozenset(name for name in self.installed() if self.fits(name, target)),
        )

    def carry_out(self, acts: Iterable[trials.Act]) -> None:
        """Do what the rules say, one durable step after the other. Raises OSError."""
        for act in acts:
            match act:
                case trials.Point(link=link, version=version):
                    durable.replace_link(self.layout.prefix / link, f"{self.layout.versions.name}/{version}")
                case trials.WriteTrial(trial=trial):
                    durable.replace_file(self.layout.trial, _packed(asdict(trial)), mode=0o644)
                case trials.WriteOutcome(outcome=outcome):
                    durable.replace_file(self.layout.outcome, _packed(asdict(outcome)), mode=0o644)
                case trials.RemoveTrial():
                    durable.remove_file(self.layout.trial)

    def use(self, name: str) -> None:
        """Let `current` lead to a version: a first install, where there is nothing to go back to."""
        self.carry_out([trials.Point(trials.CURRENT, name)])

    def propose(
        self, name: str, *, previous: str, command: str = "", patience: float = trials.PATIENCE
    ) -> None:
        """Have the next start of the launcher try a version, and go back to `previous` should it fail.

        It gets `patience` seconds. `command` is the command that asked for it. Raises Busy or OSError.
        """
        if self.trial() is not None:
            raise Busy("another version is being tried on this host at this moment")
        trial = trials.Trial(version=name, previous=previous, command=command, patience=patience)
        self.carry_out([trials.WriteTrial(trial)])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the right to install and remove versions inside the block. Raises Busy or OSError."""
        self.layout.prefix.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = self.layout.prefix / _LOCK
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"another install or update is at work in {self.layout.prefix}") from None
            yield
        finally:
            os.close(descriptor)

    def place(
        self,
        archive: Path,
        target: Target,
        *,
        anew: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> str:
        """Unpack an archive, check that what is in it runs here, and put it among the versions.

        Returns its name. A version that is there already is left as it is; `anew` puts it there a second
        time, under a name of its own. Raises BadArchive, BadVersion or OSError: then nothing of it is there.
        """
        # The agent loads this module, and never unpacks anything.
        from outrider.bootstrap.unpack import unpack  # noqa: PLC0415 - see above

        tell = say or _no_one
        self.layout.versions.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = self.layout.versions / f"{_NEW}{os.urandom(6).hex()}"
        tell("unpacking")
        unpack(archive, new)
        try:
            manifest = _manifest_for(new, target)
            name = folder_name(manifest)
            if name in self.installed():
                if not anew:
                    durable.remove_tree(new)
                    return name
                name = self._free_name(name)
            tell("checking that it runs on this host")
            check(new, manifest["version"])
            durable.sync_tree(new)
            new.rename(self.layout.version(name))
        except BaseException:
            durable.remove_tree(new)
            raise
        durable.sync_folder(self.layout.versions)
        return name

    def remove_unused(self, *, but: str = "") -> list[str]:
        """Remove the versions that neither link nor a trial needs, and what killed installs have left.

        The version called `but` stays. Returns the names of those that were removed. Raises OSError.
        """
        if not self.layout.versions.exists():
            return []
        trial = self.trial()
        kept = {self.current, self.previous, but}
        if trial is not None:
            kept |= {trial.version, trial.previous}
        gone = [name for name in self.installed() if name not in kept]
        for name in gone:
            durable.remove_tree(self.layout.version(name))
        for left in self.layout.versions.iterdir():
            if left.name.startswith(_NEW) or durable.is_leaving(left):
                durable.remove_tree(left)
        return gone

    def _free_name(self, name: str) -> str:
        taken = self.installed()
        number = 2
        while f"{name}.{number}" in taken:
            number += 1
        return f"{name}.{number}"

    def _name_behind(self, link: Path) -> str | None:
        try:
            return link.readlink().name or None
        except OSError:
            return None


def folder_name(manifest: dict[str, Any]) -> str:
    """The name of a version's folder, from what it says of itself."""
    return f"{manifest['version']}-{manifest['build']}-cp{manifest['python'].replace('.', '')}"


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the version in `folder` says of itself. Raises BadVersion."""
    said = _read(folder / MANIFEST)
    if not said:
        raise BadVersion(f"{folder.name} does not say what it is: its {MANIFEST} can't be read")
    if said.get("format") != FORMAT:
        raise BadVersion(
            f"the bundle has format {said.get('format')!r}; this host's launcher knows {FORMAT}: install anew"
        )
    for name in _TEXTS:
        text = said.get(name)
        if not isinstance(text, str) or not text or not text.isascii() or "/" in text or text[0] == ".":
            raise BadVersion(f"the bundle's {name} is not to be used: {text!r}")
    return said


def _manifest_for(folder: Path, target: Target) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if not _is_for(manifest, target):
        made_for = f"Python {manifest['python']} on {manifest['platform']}"
        raise BadVersion(f"the bundle is for {made_for}; this host has {target}")
    return manifest


def check(folder: Path, version: str, *, seconds: float = CHECK_SECONDS) -> None:
    """Let a child of this interpreter load the agent in `folder` and say its version. Raises BadVersion."""
    program = [sys.executable, "-I", "-S", "-c", _CHECK, str(folder / SITE)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    with subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=clean,
        cwd="/",
    ) as child:
        try:
            said, complaint = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BadVersion(f"the new version hung: it could not be loaded within {seconds:g} s") from None
        finally:
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    if child.returncode != 0:
        raise BadVersion(f"the new version can't be loaded: {_last_line(complaint, child.returncode)}")
    told = said.decode(errors="replace").strip()
    if told != version:
        raise BadVersion(f"the new version says that it is {told[:_SAID]!r}, not {version!r}")


def _is_for(manifest: dict[str, Any], target: Target) -> bool:
    return (manifest["python"], manifest["platform"]) == (target.python, target.platform)


def _last_line(complaint: bytes, code: int) -> str:
    lines = complaint.decode(errors="replace").strip().splitlines()
    if lines:
        return lines[-1][:_SAID]
    return f"signal {-code} ended it" if code < 0 else f"it ended with exit code {code}"


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            said = json.loads(stream.read(_MAX_FILE))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _as(kind: type[Record], said: dict[str, Any]) -> Record | None:
    """Make a record of what was read; fields that a newer release added are left out. None for nonsense."""
    known = {field.name: field.type for field in fields(kind)}
    given = {name: value for name, value in said.items() if name in known}
    if not all(isinstance(value, _KINDS[str(known[name])]) for name, value in given.items()):
        return None
    try:
        return kind(**given)
    except TypeError:
        return None


def _packed(record: dict[str, Any]) -> bytes:
    return json.dumps(record, indent=2).encode() + b"\n"


def _no_one(_: str) -> None:
    return
