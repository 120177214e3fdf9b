"""What an agent can be told: a TOML file and `OUTRIDER_*` variables, which win."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from outrider.domain import variables
from outrider.domain.places import default_data_folder
from outrider.kit import config

DEFAULT_FILE: Final = Path("/etc/outrider/agent.toml")


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one agent."""

    home: Annotated[
        Path, Meta(description="Data folder; the agent's keys, spool and kept output are in agent/ in it.")
    ] = msgspec.field(default_factory=default_data_folder)
    center_url: Annotated[
        str, Meta(description="Address of the center, such as https://center.example:8443.")
    ] = ""
    enrolment_key: Annotated[
        str, Meta(description="Secret that lets this agent ask to join; not needed once it has enrolled.")
    ] = ""
    allow_plain_http: Annotated[
        bool,
        Meta(description="Speak to a center elsewhere without encryption: anybody between can read the key."),
    ] = False
    label: Annotated[
        str, Meta(max_length=255, description="Name to show at the center; the host's name when empty.")
    ] = ""
    max_parallel: Annotated[
        int, Meta(ge=1, le=1024, description="How many commands run at once; the others wait their turn.")
    ] = 32
    policy: Annotated[
        Path, Meta(description="The file, owned by root, that says what the center may do here.")
    ] = Path("/etc/outrider/policy.toml")
    journal: Annotated[
        Path | None,
        Meta(
            description="Folder of journal files to read, for an agent in a container; else this host's own."
        ),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least important lines to log.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="Log lines for people, or one JSON object each.")
    ] = "text"
    log_file: Annotated[
        str, Meta(description="File to log to, set aside at 16 MiB; standard error when empty.")
    ] = ""


def load_settings(environ: Mapping[str, str]) -> AgentSettings:
    """Read the settings; `OUTRIDER_CONFIG` names another file. Raises ConfigError with all that is wrong."""
    named = environ.get("OUTRIDER_CONFIG")
    file = Path(named) if named else DEFAULT_FILE
    return config.load(
        AgentSettings,
        file=file if named or file.exists() else None,
        environ=environ,
        known_variables=variables.ALL,
    )
