"""The agent's settings file as an install reads and writes it: flat TOML.

An agent that was started by hand may have been told by variables instead; those are read here too, so that
none is lost when it is adopted.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Final

from outrider.bootstrap.steps import StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXTS: Final = (
    "home",
    "center_url",
    "enrolment_key",
    "label",
    "policy",
    "journal",
    "log_level",
    "log_format",
    "log_file",
    "link_listen",
)
LISTS: Final = ("edge_api_listen",)
NUMBERS: Final = ("max_parallel", "client_api_port")
FLAGS: Final = ("allow_plain_http", "client_api_enabled")
_PREFIX: Final = "OUTRIDER_"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_HEAD: Final = "# Settings of this host's agent: `outrider agent` reads them at its start.\n"


class SettingsBroken(StepFailed):
    """A settings file can't be read; the text says which and why."""


def read(path: Path) -> dict[str, Any]:
    """What the file says; nothing when there is none. Raises SettingsBroken."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsBroken(f"{path} can't be read: {error}") from None


def of_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """What an agent with these variables was told by them. Raises SettingsBroken."""
    told: dict[str, Any] = {}
    for name in (*TEXTS, *LISTS, *NUMBERS, *FLAGS):
        text = environ.get(_PREFIX + name.upper())
        if text is None:
            continue
        if name in NUMBERS:
            if not text.strip().isdecimal():
                raise SettingsBroken(f"{_PREFIX}{name.upper()} is no number")
            told[name] = int(text)
        elif name in LISTS:
            told[name] = [item.strip() for item in text.split(",") if item.strip()]
        elif name in FLAGS:
            told[name] = text.strip().lower() in _TRUE
        else:
            told[name] = text
    return told


def written(settings: Mapping[str, Any]) -> bytes:
    """The settings as a file holds them. Takes texts, numbers, flags and lists of these."""
    lines = [f"{name} = {_value(value)}\n" for name, value in settings.items()]
    return (_HEAD + "".join(lines)).encode()


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            # A text of JSON is a text of TOML, but for the one character that JSON leaves as it is.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
