"""`outrider agent status`, `info` and `version`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.cli.agent_door import Home, edge_door
from outrider.cli.listing import AsJson, show_facts, show_json
from outrider.domain.errors import HostFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STATUS: Final = (
    "iofog-daemon",
    "connection-to-controller",
    "running-microservices",
    "messages-processed",
    "cpu-usage",
    "memory-usage",
    "disk-usage",
    "system-total-cpu",
    "system-available-memory",
    "system-available-disk",
    "system-time",
)
"""The lines in the order that people read them in; others follow."""


def status(*, as_json: AsJson = False, home: Home = None) -> None:
    """Show how the agent and this host are."""
    _show("/v2/status", home, as_json=as_json, first=_STATUS)


def info(*, as_json: AsJson = False, home: Home = None) -> None:
    """Show the agent's configuration."""
    _show("/v2/info", home, as_json=as_json)


def version(*, as_json: AsJson = False, home: Home = None) -> None:
    """Show the version of the agent that runs."""
    told = _texts(edge_door(home).ask("GET", "/v2/version"))
    if as_json:
        show_json(told)
    else:
        sys.stdout.write(f"{told.get('version', '')}\n")


def _show(path: str, home: Home, *, as_json: bool, first: Sequence[str] = ()) -> None:
    told = _texts(edge_door(home).ask("GET", path))
    if as_json:
        show_json(told)
    else:
        ordered = {name: told[name] for name in first if name in told}
        show_facts({**ordered, **told})


def _texts(answer: object) -> Mapping[str, str]:
    try:
        return msgspec.convert(answer, dict[str, str])
    except msgspec.ValidationError as error:
        raise HostFault("The agent's answer can't be read; is it of another release?") from error
