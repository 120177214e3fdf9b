"""What an agent can be told: a TOML file and `OUTRIDER_*` variables, which win."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from outrider.domain import variables
from outrider.domain.places import default_data_folder
from outrider.kit import config

_LAST_PORT: Final = 65_535
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
    client_api_enabled: Annotated[
        bool, Meta(description="Serve the client API where the agent's profile does not say whether to.")
    ] = False
    client_api_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="Port of the client API, whatever the profile says."),
    ] = None
    edge_api_listen: Annotated[
        tuple[str, ...],
        Meta(
            description="IP addresses and ports of the edge API (127.0.0.1:54321, [::1]:54321); empty: none."
        ),
    ] = ("127.0.0.1:54321",)
    link_listen: Annotated[
        str,
        Meta(
            description="IP address and port to wait at for the center, which dials this host (0.0.0.0:3850 "
            "for all of its addresses); empty: this host dials."
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least important lines to log.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="Log lines for people, or one JSON object each.")
    ] = "text"
    log_file: Annotated[
        str, Meta(description="File to log to, set aside at 16 MiB; standard error when empty.")
    ] = ""

    def __post_init__(self) -> None:
        """Refuse addresses that can't be listened on, with ValueError."""
        for text in self.edge_api_listen:
            read_place(text)
        if self.link_listen:
            _place(self.link_listen)

    @property
    def link_place(self) -> tuple[str, int] | None:
        """Where to wait for the center, as an IP address and a port; None where this host dials."""
        if not self.link_listen:
            return None
        ip, port = _place(self.link_listen)
        return str(ip), port

    @property
    def edge_api_places(self) -> tuple[tuple[str, int], ...]:
        """Where the edge API listens, as IP addresses and ports."""
        return tuple(read_place(text) for text in self.edge_api_listen)


def read_place(text: str) -> tuple[str, int]:
    """Read one IP address of this host and a port. Raises ValueError, which says what is wrong."""
    ip, port = _place(text)
    if ip.is_unspecified:
        raise ValueError(f"{text!r} stands for all addresses: name those that containers use")
    return str(ip), port


def _place(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    address, _, port = text.rpartition(":")
    try:
        ip = ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
        number = int(port) if port.isascii() and port.isdecimal() else -1
    except ValueError:
        raise ValueError(f"{text!r} must be an IP address and a port, such as 172.17.0.1:54321") from None
    if not 0 <= number <= _LAST_PORT:
        raise ValueError(f"the port of {text!r} must be from 0 to {_LAST_PORT}")
    return ip, number


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
