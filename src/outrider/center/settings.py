"""The center's settings: a TOML file and `OUTRIDER_*` variables, which win."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from outrider.domain import variables
from outrider.domain.places import default_data_folder
from outrider.domain.provider_rules import parse_mapping
from outrider.kit import config

DAY = 86400.0


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider that people may sign in with (OpenID Connect)."""

    issuer: Annotated[
        str, Meta(description="The provider's issuer address, such as https://id.example. Empty: none.")
    ] = ""
    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9-]{1,40}$",
            description="The provider's name in addresses; the callback is /api/oidc/NAME/callback.",
        ),
    ] = "sso"
    label: Annotated[str, Meta(description="What to call the provider to people. Empty: its name.")] = ""
    client_id: Annotated[str, Meta(description="The center's client id at the provider.")] = ""
    client_secret: Annotated[
        str, Meta(description="The center's secret there. Empty: a public client, with PKCE alone.")
    ] = ""
    scopes: Annotated[list[str], Meta(description="What is asked for; openid is needed.")] = msgspec.field(
        default_factory=lambda: ["openid", "profile", "email"]
    )
    username_claim: Annotated[str, Meta(description="The claim that names a new user.")] = (
        "preferred_username"
    )
    role_claim: Annotated[str, Meta(description="The claim with a person's groups.")] = "groups"
    role_mapping: Annotated[
        list[str], Meta(description="GROUP=ROLE entries, read at each sign-in. Empty: roles are set here.")
    ] = []
    default_role: Annotated[
        Literal["", "viewer", "operator", "admin"],
        Meta(description="The role of who has no mapped group. Empty: they may not come in."),
    ] = "viewer"
    allowed_domains: Annotated[
        list[str], Meta(description="Domains of verified e-mail addresses that may come in. Empty: all.")
    ] = []

    def __post_init__(self) -> None:
        """Refuse what can't work. Raises ValueError."""
        parse_mapping(self.role_mapping)
        if not self.issuer:
            return
        if not is_safe_address(self.issuer):
            message = f"issuer must be an https:// address, not {self.issuer!r}"
            raise ValueError(message)
        if not self.client_id:
            message = "client_id is needed with an issuer"
            raise ValueError(message)
        if "openid" not in self.scopes:
            message = "scopes must name openid"
            raise ValueError(message)


def is_safe_address(text: str) -> bool:
    """Tell whether secrets may be sent to an address: https, or plain HTTP to this machine."""
    parts = urlsplit(text)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and Address(parts.hostname or "", 0).is_loopback


class CenterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person can set. Durations are seconds."""

    home: Annotated[Path, Meta(description="Data folder: database, blobs, keys.")] = msgspec.field(
        default_factory=default_data_folder
    )
    listen: Annotated[
        str,
        Meta(description="Plain HTTP address; any but a loopback one needs a trusted proxy. Empty: none."),
    ] = "127.0.0.1:8080"
    tls_listen: Annotated[str, Meta(description="HTTPS address, such as 0.0.0.0:8443. Empty: none.")] = ""
    tls_certificate: Annotated[
        str, Meta(description="Your certificate chain (PEM). Empty: the center's own CA.")
    ] = ""
    tls_key: Annotated[str, Meta(description="The key of tls_certificate (PEM).")] = ""
    tls_authority: Annotated[str, Meta(description="The CA that agents pin for tls_certificate (PEM).")] = ""
    public_url: Annotated[str, Meta(description="The address people and agents reach this center by.")] = ""
    trusted_proxies: Annotated[
        list[str],
        Meta(description="Proxy addresses or networks whose X-Forwarded-For and -Proto are believed."),
    ] = []
    admin_password: Annotated[
        str, Meta(description="Password of the first user, admin. Empty: made and printed.")
    ] = ""
    master_key: Annotated[
        str, Meta(description="32 bytes, base64: seals secrets. Empty: the file master.key.")
    ] = ""
    database_url: Annotated[str, Meta(description="postgresql://... Empty: SQLite in the data folder.")] = ""
    blobs_url: Annotated[
        str, Meta(description="file:///folder or s3://bucket/prefix. Empty: in the data folder.")
    ] = ""
    bus_url: Annotated[str, Meta(description="Bus for several replicas. Empty: chosen by the store.")] = ""
    session_hours: Annotated[float, Meta(gt=0, le=24 * 365, description="How long a sign-in lasts.")] = 24.0
    events_days: Annotated[float, Meta(gt=0, description="How long events are kept.")] = 7.0
    commands_days: Annotated[
        float, Meta(gt=0, description="How long ended commands and deployments are kept.")
    ] = 90.0
    alerts_days: Annotated[
        float, Meta(gt=0, description="How long alerts that are over, and notices, are kept.")
    ] = 90.0
    audit_days: Annotated[float, Meta(gt=0, description="How long the audit log is kept.")] = 365.0
    metrics_days: Annotated[
        float, Meta(gt=0, le=3660, description="How long hosts' figures are kept, by the minute.")
    ] = 30.0
    metrics_hosts: Annotated[
        int, Meta(ge=0, le=100_000, description="How many hosts /metrics shows one by one.")
    ] = 1000
    uploads_bytes: Annotated[
        int, Meta(ge=0, description="Most bytes of uploads held here whose destination comes last.")
    ] = 20 * 1024**3
    terminals_days: Annotated[
        float, Meta(gt=0, description="How long ended terminals and their recordings are kept.")
    ] = 90.0
    terminal_recording: Annotated[
        Literal["off", "output", "all"],
        Meta(description="What of terminals is recorded; all takes what is typed, too: passwords with it."),
    ] = "off"
    terminal_idle_minutes: Annotated[
        float, Meta(ge=0, description="Minutes without typing after which a terminal ends. 0: never.")
    ] = 0.0
    deploy_keys: Annotated[
        str, Meta(description="The one folder whose key files a deployment over SSH may name.")
    ] = "~/.ssh"
    oidc: OidcSettings = msgspec.field(default_factory=OidcSettings)
    heartbeat: Annotated[
        float, Meta(ge=0.2, le=300, description="Seconds between an agent's heartbeats.")
    ] = 10.0
    log_level: Annotated[str, Meta(description="debug, info, warning or error.")] = "info"
    log_format: Annotated[str, Meta(description="text or json.")] = "text"


def read_settings(environ: Mapping[str, str]) -> CenterSettings:
    """Read `OUTRIDER_*` and the file `center.toml` in the data folder (or `OUTRIDER_CONFIG`)."""
    named = environ.get("OUTRIDER_CONFIG")
    home = Path(environ.get("OUTRIDER_HOME") or default_data_folder()).expanduser()
    file = Path(named) if named else home / "center.toml"
    return config.load(
        CenterSettings,
        file=file if named or file.exists() else None,
        environ=environ,
        known_variables=variables.ALL,
    )


class Address(msgspec.Struct, frozen=True):
    """A host and port to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the address."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def url(self, scheme: str) -> str:
        """Write the address as a URL people can open; a wildcard is shown as the loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 (compared, not bound)
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"{scheme}://{host}:{self.port}"


def parse_address(text: str, setting: str) -> Address:
    """Read `host:port`. Raises ValueError naming the setting."""
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.path:
        message = f"{setting} must be host:port, such as 127.0.0.1:8080, not {text!r}"
        raise ValueError(message)
    return Address(parts.hostname, port)
