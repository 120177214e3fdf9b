"""The way to this host's own agent: its two local APIs, as the words of `outrider agent` open them."""

from __future__ import annotations

import http.client
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from cyclopts import Parameter

from outrider.agent.folder import AgentFolder
from outrider.agent.settings import load_settings
from outrider.domain.errors import (
    Conflict,
    Forbidden,
    HostFault,
    Invalid,
    NotFound,
    OutriderError,
    TooLarge,
    Unavailable,
)
from outrider.domain.places import AGENT
from outrider.kit.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outrider.agent.settings import AgentSettings

Home = Annotated[Path | None, Parameter(help="The agent's data folder; else OUTRIDER_HOME or the usual one.")]

EDGE_KEY: Final = "local-api"
SYSTEM_EDGE_KEY: Final = Path("/etc/iofog-agent/local-api")
_SYSTEM_AGENT: Final = Path("/var/lib/outrider") / AGENT
"""The folder of the agent that a system's service runs: it alone shows its key in the other place, too."""
_LOOPBACK: Final = "127.0.0.1"
_SECONDS: Final = 60.0
_MAX_ANSWER: Final = 16 * 1024 * 1024
_MAX_KEY: Final = 4096
_LOCKS: Final = Path("/proc/locks")
_INODE: Final = 5
_FIRST_ERROR: Final = 400

_ERRORS: Final[Mapping[int, type[OutriderError]]] = {
    400: Invalid,
    # Not Unauthenticated: no sign-in at a center helps here.
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    503: Unavailable,
}


class AgentAway(Unavailable):
    """No agent answers on this host; the detail says whether one runs."""

    code = "agent_away"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent has answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises HostFault for what is none."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise HostFault("What answers on the agent's port is no agent.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDoor:
    """One local API. `away` is what to say when nobody listens there."""

    address: str
    port: int
    away: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> Any:
        """Return the JSON of an answer. Raises the OutriderError that a refusal stands for, or AgentAway."""
        answer = self.send(method, path, query=query, body=body)
        if answer.status >= _FIRST_ERROR:
            raise _ERRORS.get(answer.status, HostFault)(said_in(answer))
        return answer.json()

    def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> Answer:
        """Return the answer, whatever its status. Raises AgentAway when there is none."""
        asked = urlencode(query or {})
        connection = http.client.HTTPConnection(self.address, self.port, timeout=_SECONDS)
        headers = {"Accept": "application/json", **self.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(
                method,
                f"{path}?{asked}" if asked else path,
                body=None if body is None else msgspec.json.encode(body),
                headers=headers,
            )
            response = connection.getresponse()
            return Answer(response.status, response.read(_MAX_ANSWER))
        except ConnectionRefusedError as error:
            raise AgentAway(self.away) from error
        except (OSError, http.client.HTTPException) as error:
            where = f"{self.address}:{self.port}"
            raise AgentAway(
                f"The agent does not answer at {where}: {str(error) or type(error).__name__}."
            ) from error
        finally:
            connection.close()


def said_in(answer: Answer) -> str:
    """Return what a refusal says: the sentence in its JSON, or its plain text."""
    try:
        told = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        told = answer.body.decode("utf-8", "replace").strip()
    if isinstance(told, dict):
        told = told.get("message") or told.get("errorMessage") or told.get("error")
    return told if isinstance(told, str) and told else f"The agent answered HTTP {answer.status}."


def agent_settings(home: Path | None) -> AgentSettings:
    """Read the agent's settings as the agent would, with another data folder if one is said.

    Raises Invalid for what can't be used.
    """
    environ = dict(os.environ)
    if home is not None:
        environ["OUTRIDER_HOME"] = str(home)
    try:
        return load_settings(environ)
    except ConfigError as error:
        raise Invalid(str(error)) from error


def client_door(home: Path | None) -> AgentDoor:
    """Open the client API of this host's agent. Raises AgentAway when it does not answer."""
    from outrider.agent.profile import AgentProfile

    settings = agent_settings(home)
    folder = _folder(settings)
    port = settings.client_api_port or AgentProfile.load(folder.profile).client_api_port
    running = _is_running(folder)
    if running:
        away = (
            f"The agent runs, but its client API is not open on port {port}. It is where the agent's profile "
            "says client_api_enabled=true: `outrider profiles set default client_api_enabled=true`."
        )
    else:
        away = _not_running(folder, f"nothing answers on port {port}", known=running is not None)
    door = AgentDoor(address=_LOOPBACK, port=port, away=away)
    told = door.ask("GET", "/api/v3/token")
    if not isinstance(told, dict) or not isinstance(told.get("token"), str):
        raise HostFault(f"What answers on port {port} is no agent.")
    return replace(door, headers={"X-Token": told["token"]})


def edge_door(home: Path | None, *, with_key: bool = True) -> AgentDoor:
    """Open the edge API of this host's agent; nothing is asked of it yet.

    Raises Forbidden when its key may not be read, AgentAway when there is none.
    """
    settings = agent_settings(home)
    folder = _folder(settings)
    if not settings.edge_api_places:
        raise AgentAway("The agent's API is switched off: its setting edge_api_listen is empty.")
    address, port = settings.edge_api_places[0]
    running = _is_running(folder)
    where = f"nothing answers at {address}:{port}"
    away = (
        f"The agent runs, but {where}." if running else _not_running(folder, where, known=running is not None)
    )
    headers = {"Authorization": _edge_key(folder, away)} if with_key else {}
    return AgentDoor(address=address, port=port, away=away, headers=headers)


def _folder(settings: AgentSettings) -> AgentFolder:
    return AgentFolder(settings.home.expanduser() / AGENT)


def _edge_key(folder: AgentFolder, away: str) -> str:
    refused: list[str] = []
    shown = [SYSTEM_EDGE_KEY] if folder.path == _SYSTEM_AGENT else []
    for path in (folder.path / EDGE_KEY, *shown):
        try:
            with path.open("rb") as file:
                key = file.readline(_MAX_KEY).decode("ascii", "replace").strip()
        except PermissionError:
            refused.append(str(path))
        except OSError:
            continue
        else:
            if key:
                return key
    if refused:
        raise Forbidden(
            f"You may not read the key of the agent's API ({refused[0]}): say it as the agent's user or root."
        )
    raise AgentAway(away)


def _not_running(folder: AgentFolder, what: str, *, known: bool) -> str:
    if known:
        return f"No agent runs in {folder.path}. `outrider agent` starts one; --home names another folder."
    return f"No agent answers on this host: {what}, and you may not look into {folder.path}."


def _is_running(folder: AgentFolder) -> bool | None:
    """Whether a daemon holds the folder's lock; None where this user may not know."""
    try:
        inode = folder.lock.stat().st_ino
        locks = _LOCKS.read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    except OSError:
        return None
    # ID: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE ...
    fields = (line.split() for line in locks.splitlines())
    return any(
        each[1] == "FLOCK" and each[_INODE].rpartition(":")[2] == str(inode)
        for each in fields
        if len(each) > _INODE
    )
