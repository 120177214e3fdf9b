"""A machine that is its own center: what the two daemons are told, and what they tell back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from outrider.agent.settings import AgentSettings
from outrider.center.settings import CenterSettings
from outrider.kit import config
from outrider.kit.printable import escape

# What the CLI reads; a daemon need not know it.
_OURS: Final = frozenset({"OUTRIDER_CENTER", "OUTRIDER_DEBUG"})


class FirstUser(msgspec.Struct, frozen=True, kw_only=True):
    """The first user; the password only at the start that made it, and only when it was made, not given."""

    username: str
    password: str | None = None


class CenterReady(msgspec.Struct, frozen=True, kw_only=True):
    """What a center announces once it is ready.

    `local_enrolment_key` is there as long as no agent of this machine was ever made for this home.
    """

    url: str
    tls_url: str | None = None
    #: Pins of the center's own authority, where it has a TLS listener: what `outrider login` compares.
    pins: list[str] = []
    admin: FirstUser | None = None
    local_enrolment_key: str | None = None


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent announces: its connection state."""

    state: str


class MachineOfOne:
    """Makes the environments of the two daemons and says what they announce."""

    def __init__(self, home: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        """`home` is the data folder, `environ` what both daemons get, `say` shows a line to the person."""
        self._home = home
        self._say = say
        quiet = {"OUTRIDER_LOG_LEVEL": "warning"}
        self._environ = {name: value for name, value in {**quiet, **environ}.items() if name not in _OURS}
        self._center: CenterReady | None = None

    def center_environ(self) -> dict[str, str]:
        """The center's environment: nothing that only the agent knows."""
        only_agent = config.variables(AgentSettings) - config.variables(CenterSettings)
        return self._without(only_agent) | {"OUTRIDER_HOME": str(self._home)}

    def agent_environ(self) -> dict[str, str]:
        """The agent's environment: the way to the center, and none of the center's secrets."""
        only_center = config.variables(CenterSettings) - config.variables(AgentSettings)
        environ = {"OUTRIDER_CLIENT_API_ENABLED": "true"}
        environ |= self._without(only_center | {"OUTRIDER_ENROLMENT_KEY"})
        environ["OUTRIDER_HOME"] = str(self._home)
        if self._center is not None:
            environ["OUTRIDER_CENTER_URL"] = self._center.url
            if self._center.local_enrolment_key:
                environ["OUTRIDER_ENROLMENT_KEY"] = self._center.local_enrolment_key
        return environ

    def _without(self, names: frozenset[str]) -> dict[str, str]:
        return {name: value for name, value in self._environ.items() if name not in names}

    def center_announced(self, line: bytes) -> None:
        """Take in what the center says of itself. Raises msgspec.DecodeError for what is no announcement."""
        said = msgspec.json.decode(line, type=CenterReady)
        again = self._center is not None
        self._center = said
        addresses = " and ".join(escape(url) for url in (said.url, said.tls_url) if url)
        self._say(f"center: {'ready again' if again else 'ready'} at {addresses}")
        if said.tls_url is not None:
            for pin in said.pins:
                self._say(f"    pin        {escape(pin)}")
        if said.admin is not None and said.admin.password is not None:
            self._say(f"    user name  {escape(said.admin.username)}")
            self._say(f"    password   {escape(said.admin.password)}   (shown this once)")

    def agent_announced(self, line: bytes) -> None:
        """Take in the agent's state. Raises msgspec.DecodeError for what is no announcement."""
        said = msgspec.json.decode(line, type=AgentState)
        self._say("agent: ready" if said.state == "CONNECTED" else f"agent: {escape(said.state)}")
