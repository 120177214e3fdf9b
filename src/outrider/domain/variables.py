"""All `OUTRIDER_*` variables of all programs.

Agent, center and CLI often run in one environment: each takes its own variables and lets the others'
pass, but refuses one that nobody knows. A test holds this list to the settings themselves.
"""

from typing import Final

ALL: Final = frozenset(
    f"OUTRIDER_{name}"
    for name in (
        "ADMIN_PASSWORD",
        "ALLOW_PLAIN_HTTP",
        "ANNOUNCE_FD",
        "AUDIT_DAYS",
        "BLOBS_URL",
        "BUS_URL",
        "CENTER",
        "CENTER_URL",
        "CLIENT_API_PORT",
        "COMMANDS_DAYS",
        "COMMAND_ID",
        "CONFIG",
        "DATABASE_URL",
        "DEBUG",
        "EDGE_API_LISTEN",
        "ENROLMENT_KEY",
        "EVENTS_DAYS",
        "HEARTBEAT",
        "HOME",
        "JOURNAL",
        "LABEL",
        "LINK_LISTEN",
        "LISTEN",
        "LOG_FILE",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MASTER_KEY",
        "MAX_PARALLEL",
        "METRICS_DAYS",
        "METRICS_HOSTS",
        "OIDC_ALLOWED_DOMAINS",
        "OIDC_CLIENT_ID",
        "OIDC_CLIENT_SECRET",
        "OIDC_DEFAULT_ROLE",
        "OIDC_ISSUER",
        "OIDC_LABEL",
        "OIDC_NAME",
        "OIDC_ROLE_CLAIM",
        "OIDC_ROLE_MAPPING",
        "OIDC_SCOPES",
        "OIDC_USERNAME_CLAIM",
        "PARENT_FD",
        "PEER_LISTEN",
        "POLICY",
        "PUBLIC_URL",
        "RESTART_FD",
        "SESSION_HOURS",
        "TERMINALS_DAYS",
        "TERMINAL_IDLE_MINUTES",
        "TERMINAL_RECORDING",
        "TLS_AUTHORITY",
        "TLS_CERTIFICATE",
        "TLS_KEY",
        "TLS_LISTEN",
        "UPLOADS_BYTES",
        "TRUSTED_PROXIES",
    )
)
