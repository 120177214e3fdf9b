"""Where everything of an installed agent lies on a host, so that no other module spells a path."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEFAULT_PREFIX: Final = Path("/opt/outrider")
DEFAULT_HOME: Final = Path("/var/lib/outrider")
UNIT: Final = "outrider-agent.service"
SERVICE_SYSTEMD: Final = "systemd"
SERVICE_KEEPER: Final = "keeper"
_AGENT: Final = "agent"
_EDGE_KEY: Final = Path("/etc/iofog-agent/local-api")
_FORMAT: Final = 1


class NotInstalled(Exception):
    """There is no installation where one was looked for; the text says where that was."""


class RecordBroken(Exception):
    """The record of an installation can't be read; the text says which file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The places of one installation. A host has one; other places than the usual are told at install."""

    prefix: Path = DEFAULT_PREFIX
    """The program: launcher, versions, what was installed."""
    home: Path = DEFAULT_HOME
    """The data: `OUTRIDER_HOME`."""
    settings: Path = Path("/etc/outrider/agent.toml")
    shim: Path = Path("/usr/local/bin/outrider")
    unit: Path = Path("/etc/systemd/system") / UNIT
    edge_key: Path = _EDGE_KEY
    """Where the agent shows the key of its edge API to programs of the original agent."""

    @classmethod
    def under(cls, root: Path, *, prefix: Path = DEFAULT_PREFIX, home: Path = DEFAULT_HOME) -> Layout:
        """The usual places as they are under `root`, such as a folder that stands for another host's `/`."""
        usual = cls(prefix=prefix, home=home)
        return cls(
            prefix=_beneath(root, usual.prefix),
            home=_beneath(root, usual.home),
            settings=_beneath(root, usual.settings),
            shim=_beneath(root, usual.shim),
            unit=_beneath(root, usual.unit),
            edge_key=_beneath(root, usual.edge_key),
        )

    @property
    def program(self) -> Path:
        """The zipapp: `python3 -I` runs it."""
        return self.prefix / "outrider-agent.pyz"

    @property
    def launcher(self) -> Path:
        """A shell script that finds a python3 that is new enough and becomes the zipapp under it."""
        return self.prefix / "outrider-agent"

    @property
    def versions(self) -> Path:
        """The folder with one folder for each version."""
        return self.prefix / "versions"

    def version(self, name: str) -> Path:
        """The folder of one version, such as `0.1.0-0123456789ab-cp311`."""
        return self.versions / name

    @property
    def current(self) -> Path:
        """The link to the version that runs; switched by rename."""
        return self.prefix / "current"

    @property
    def previous(self) -> Path:
        """The link to the last good version before it."""
        return self.prefix / "previous"

    @property
    def trial(self) -> Path:
        """What is known of a version that has not proved good yet."""
        return self.prefix / "trial.json"

    @property
    def outcome(self) -> Path:
        """How the last trial ended."""
        return self.prefix / "outcome.json"

    @property
    def installed(self) -> Path:
        """The record of what was installed."""
        return self.prefix / "installed.json"

    @property
    def downloads(self) -> Path:
        """Where bundles come in; empty when nothing does."""
        return self.prefix / "downloads"

    @property
    def versions_lock(self) -> Path:
        """Held by whoever installs or removes versions."""
        return self.prefix / "versions.lock"

    @property
    def keeper_lock(self) -> Path:
        """Held by the background keeper, whose process id is in it."""
        return self.prefix / "keeper.lock"

    @property
    def agent(self) -> Path:
        """The agent's own folder in its data."""
        return self.home / _AGENT

    @property
    def enrolment(self) -> Path:
        """The agent's record of its enrolment, with its key."""
        return self.agent / "enrolment.json"

    @property
    def own_edge_key(self) -> Path:
        """The agent's own file of the key of its edge API."""
        return self.agent / "local-api"

    @property
    def center_ca(self) -> Path:
        """The certificate authorities that the agent trusts; missing where it trusts the system's."""
        return self.agent / "center-ca.pem"

    @property
    def standing(self) -> Path:
        """Where the agent says how it stands with its center."""
        return self.agent / "standing.json"

    @property
    def lock(self) -> Path:
        """Held by the one agent of the data folder, whose process id is in it."""
        return self.agent / "lock"

    @property
    def log(self) -> Path:
        """The agent's log where no systemd takes it."""
        return self.home / "agent.log"

    @property
    def keeper_log(self) -> Path:
        """What the keeper and a launcher under it have to say."""
        return self.home / "keeper.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The record of an installation: what uninstall takes away again, and nothing else.

    It is written before anything it names is made, so that a killed install can be taken away too.
    """

    layout: Layout
    service: str
    """SERVICE_SYSTEMD or SERVICE_KEEPER."""
    whole: bool = False
    """Whether the install came to its end."""
    folders: tuple[Path, ...] = ()
    """Folders outside the prefix that were made for it, outermost first; removed again when empty."""
    replaced_unit: str = ""
    """The unit of an adopted agent, which was disabled; empty when there was none."""


def write_installed(installed: Installed) -> bytes:
    """The record as its file holds it."""
    layout = installed.layout
    record = {
        "format": _FORMAT,
        "whole": installed.whole,
        "service": installed.service,
        "home": str(layout.home),
        "settings": str(layout.settings),
        "shim": str(layout.shim),
        "unit": str(layout.unit),
        "edge_key": str(layout.edge_key),
        "folders": [str(folder) for folder in installed.folders],
        "replaced_unit": installed.replaced_unit,
    }
    return json.dumps(record, indent=2).encode() + b"\n"


def read_installed(prefix: Path) -> Installed:
    """The record of the installation in `prefix`. Raises NotInstalled or RecordBroken."""
    file = prefix / "installed.json"
    try:
        record: dict[str, Any] = json.loads(file.read_bytes())
        if record["format"] != _FORMAT:
            raise RecordBroken(f"{file} was written by a newer Outrider: use that one")
        return Installed(
            layout=Layout(
                prefix=prefix,
                home=Path(record["home"]),
                settings=Path(record["settings"]),
                shim=Path(record["shim"]),
                unit=Path(record["unit"]),
                # An older install did not know of it.
                edge_key=Path(record.get("edge_key", _EDGE_KEY)),
            ),
            service=record["service"],
            whole=record["whole"],
            folders=tuple(Path(folder) for folder in record["folders"]),
            replaced_unit=record["replaced_unit"],
        )
    except (FileNotFoundError, NotADirectoryError):
        raise NotInstalled(f"no agent is installed in {prefix}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordBroken(
            f"{file} can't be read ({error!r}): move {prefix} away, then install anew"
        ) from error


def prefix_of_program(program: str) -> Path:
    """The prefix of the zipapp that runs, from how it was called (`sys.argv[0]`)."""
    return Path(os.path.realpath(program)).parent


def _beneath(root: Path, path: Path) -> Path:
    return root / path.relative_to(path.anchor)
