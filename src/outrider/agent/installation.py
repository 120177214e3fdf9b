"""What an agent knows of its own installation: which version it is, and what puts another in its place."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import outrider
from outrider.bootstrap.layout import Layout, NotInstalled, RecordBroken, read_installed
from outrider.bootstrap.versions import BadVersion, Versions
from outrider.kit import logs

log = logs.get(__name__)

PREFIX: Final = "OUTRIDER_PREFIX"
"""The variable by which the launcher tells an agent that it is installed, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The installation that this agent belongs to. `running` names its version, by the version's folder."""

    versions: Versions
    running: str
    build: str
    target: str
    """Its Python and platform, such as `cp311-linux-x86_64`."""

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Self | None:
        """Find it; None for an agent that was installed in another way, such as by pip. Blocks."""
        prefix = environ.get(PREFIX)
        if not prefix:
            return None
        versions = Versions(_layout(Path(prefix)))
        folder = Path(outrider.__file__).resolve().parents[2]
        if folder.parent != versions.layout.versions.resolve():
            log.warning("this agent lies elsewhere than its prefix says", prefix=prefix, folder=str(folder))
            return None
        try:
            manifest = versions.manifest(folder.name)
        except BadVersion as error:
            log.warning("this agent's version does not say what it is", reason=str(error))
            return None
        abi = "cp" + manifest["python"].replace(".", "")
        return cls(
            versions=versions,
            running=folder.name,
            build=manifest["build"],
            target=f"{abi}-{manifest['platform']}",
        )

    def launcher(self, word: str) -> tuple[str, ...]:
        """The command that says `word` to the launcher: `run` becomes the agent, `fetch` brings a version.

        It is the interpreter itself where it is still there, and not the script that looks for one: a shell
        in this process would take the exit codes of commands that end meanwhile.
        """
        layout = self.versions.layout
        if Path(sys.executable).exists():
            return (sys.executable, "-I", str(layout.program), word)
        return (str(layout.launcher), word)


def _layout(prefix: Path) -> Layout:
    try:
        return read_installed(prefix).layout
    except (NotInstalled, RecordBroken) as error:
        log.warning("the record of this installation can't be read", reason=str(error))
        return Layout(prefix=prefix)
