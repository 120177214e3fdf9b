"""What an install is asked to do, as its settings file or its standard input tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from outrider.bootstrap.layout import DEFAULT_PREFIX

_WAIT_SECONDS: Final = 60.0
_LONGEST_WAIT: Final = 3600.0
_TEXTS: Final = ("center_url", "ca_pem", "enrolment_key", "agent_key", "agent_id", "label", "bundle_digest")
_PATHS: Final = ("prefix", "home", "bundle")
_FLAGS: Final = ("adopt", "start")


class BadRequest(Exception):
    """The settings of an install can't be used; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The settings of one install. Secrets stay out of its `repr`."""

    center_url: str
    ca_pem: str = ""
    """The authorities that vouch for the center; empty: `pins`, or the system's."""
    pins: tuple[str, ...] = ()
    enrolment_key: str = field(default="", repr=False)
    agent_key: str = field(default="", repr=False)
    """With `agent_id`: the agent that is put back on this host. Alone: the key that the agent enrols with."""
    agent_id: str = ""
    label: str = ""
    prefix: Path = DEFAULT_PREFIX
    home: Path | None = None
    """None: where the agent's data are already, else the usual place."""
    adopt: bool = False
    bundle: Path | None = None
    """A bundle that is here already; None: it is fetched from the center."""
    bundle_digest: str = ""
    start: bool = True
    wait: float = _WAIT_SECONDS
    """Seconds that the agent gets to reach its center."""

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read the settings from JSON. Raises BadRequest."""
        try:
            said = json.loads(text)
        except ValueError as error:
            raise BadRequest(f"the settings are no JSON: {error}") from None
        if not isinstance(said, dict):
            raise BadRequest("the settings must be an object")
        unknown = said.keys() - {each.name for each in fields(cls)}
        if unknown:
            raise BadRequest(f"unknown settings: {', '.join(sorted(unknown))}")
        given = {name: value for name, value in said.items() if value is not None}
        if not given.get("center_url"):
            raise BadRequest("center_url is missing")
        return cls(**{name: _read(name, value) for name, value in given.items()})

    @property
    def enrolment_key_id(self) -> str:
        """The public part of the enrolment key: `oek_<id>_<secret>...`."""
        return self.enrolment_key.removeprefix("oek_").partition("_")[0]


def _read(name: str, value: Any) -> Any:
    if name in _TEXTS and isinstance(value, str):
        return value
    if name in _PATHS and isinstance(value, str) and Path(value).is_absolute():
        return Path(value)
    if name in _FLAGS and isinstance(value, bool):
        return value
    if name == "pins" and isinstance(value, list) and all(isinstance(pin, str) for pin in value):
        return tuple(value)
    if name == "wait" and isinstance(value, int | float) and 0 <= value <= _LONGEST_WAIT:
        return float(value)
    raise BadRequest(f"{name} is not what it must be")
