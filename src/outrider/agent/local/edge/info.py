"""`GET /v2/info`: the configuration as the original shows it (contract 003)."""

from collections.abc import Callable, Mapping
from typing import Final

from outrider.agent.configuration import Configuration
from outrider.domain import edge_config as options
from outrider.domain.edge_config import Option


def _with(unit: str) -> Callable[[float | None], str]:
    return lambda number: "" if number is None else f"{number:.2f}{unit}"


_NUMBERS: Final[Mapping[str, tuple[Option[float | None], str]]] = {
    "disk-usage-limit": (options.DISK_LIMIT, " GiB"),
    "message-storage-limit": (options.DISK_LIMIT, " GiB"),
    "memory-ram-limit": (options.MEMORY_LIMIT, " MiB"),
    "cpu-usage-limit": (options.CPU_LIMIT, "%"),
    "log-disk-limit": (options.LOGS_LIMIT, " GiB"),
}
_TEXTS: Final[Mapping[str, Option[object]]] = {
    "network-interface": options.NETWORK_ADAPTER,
    "developer-mode": options.DEVELOPER_MODE,
    "iofog-certificate": options.CERT_DIRECTORY,
    "docker-url": options.DOCKER_URL,
    "message-storage-directory": options.DISK_DIRECTORY,
    "log-file-directory": options.LOGS_DIRECTORY,
    "log-rolling-file-count": options.LOGS_COUNT,
    "status-update-frequency": options.STATUS_FREQUENCY,
    "get-changes-frequency": options.CHANGES_FREQUENCY,
    "scan-devices-frequency": options.DEVICE_SCAN_FREQUENCY,
    "post-diagnostics-frequency": options.DIAGNOSTICS_FREQUENCY,
    "isolated-docker-containers-mode": options.ISOLATED,
    "docker-pruning-frequency": options.DOCKER_PRUNING_FREQUENCY,
    "available-disk-threshold": options.DISK_THRESHOLD,
    "disk-threshold integer": options.DISK_THRESHOLD,
    "fog-type": options.FOG_TYPE,
    "time-zone": options.TIME_ZONE,
}


def info(
    configuration: Configuration, *, agent_id: str, ip: str, center: str, log_level: str, log_folder: str
) -> dict[str, str]:
    """Return the lines of the info; a setting that is empty is an empty text."""
    gps = configuration.of(options.GPS)
    place = "" if gps.place is None else f"{gps.place.latitude:.12g},{gps.place.longitude:.12g}"
    texts = {name: configuration.text(option) for name, option in _TEXTS.items()}
    numbers = {name: _with(unit)(configuration.of(option)) for name, (option, unit) in _NUMBERS.items()}
    return {
        "iofog-uuid": agent_id,
        "ip-address": ip,
        "iofog-controller": center,
        **texts,
        **numbers,
        "log-level": log_level,
        "log-file-directory": texts["log-file-directory"] or log_folder,
        "gps-mode": gps.mode,
        "gps-coordinates": place,
    }
