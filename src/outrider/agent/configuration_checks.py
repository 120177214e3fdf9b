"""What only this host can say of an option: whether a folder, a network card or a time zone is there."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from outrider.agent.trust import check_center_url
from outrider.domain.edge_config import (
    CERT_DIRECTORY,
    CONTROLLER_URL,
    DISK_DIRECTORY,
    DYNAMIC,
    LOGS_DIRECTORY,
    NETWORK_ADAPTER,
    TIME_ZONE,
)
from outrider.domain.errors import Invalid

HostCheck = Callable[[str, str], None]
"""Takes an option's name and its text; raises `Invalid`, which names the option and says why."""


def host_checks(*, allow_plain: bool) -> HostCheck:
    """Make the checks of this host. `allow_plain` lets the center's address be without encryption."""

    def center(text: str) -> None:
        check_center_url(text, allow_plain=allow_plain)

    checks: dict[str, Callable[[str], None]] = {
        CONTROLLER_URL.name: center,
        NETWORK_ADAPTER.name: _card,
        CERT_DIRECTORY.name: _readable_folder,
        DISK_DIRECTORY.name: _writable_folder,
        LOGS_DIRECTORY.name: _writable_folder,
        TIME_ZONE.name: _time_zone,
    }

    def check(name: str, text: str) -> None:
        if text and name in checks:
            try:
                checks[name](text)
            except Invalid as error:
                raise Invalid(f"{name}: {error.detail}", field=name) from error

    return check


def _card(text: str) -> None:
    if text == DYNAMIC:
        return
    names = sorted(name for _, name in socket.if_nameindex())
    if text not in names:
        raise Invalid(f"there is no network card {text!r}; this host has {', '.join(names)}, or say dynamic")


def _readable_folder(text: str) -> None:
    if not (Path(text).is_dir() and os.access(text, os.R_OK | os.X_OK)):
        raise Invalid(f"{text!r} is no folder that the agent can read")


def _writable_folder(text: str) -> None:
    try:
        Path(text).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(f"{text!r} can't be made: {error.strerror}") from error
    if not os.access(text, os.W_OK | os.X_OK):
        raise Invalid(f"the agent can't write into {text!r}")


def _time_zone(text: str) -> None:
    import zoneinfo  # noqa: PLC0415 - few set a zone, and the daemon stays light

    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"this host knows no time zone {text!r}") from error
