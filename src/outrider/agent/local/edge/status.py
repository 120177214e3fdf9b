"""`GET /v2/status`: how the agent and its host are, in the words of the original (contract 003)."""

import datetime as dt
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from outrider.agent.configuration import Configuration
from outrider.agent.connection import FAULT_CERTIFICATE, Connection, Standing
from outrider.agent.storage import Storage
from outrider.domain.connection_states import ConnectionState
from outrider.domain.edge_config import TIME_ZONE
from outrider.engines.telemetry.load import LoadMeter
from outrider.kit import logs
from outrider.kit.clock import Clock

log = logs.get(__name__)

_MIB: Final = 1024 * 1024
_KIB: Final = 1024
_PERCENT: Final = 100.0
_WINDOW: Final = 1.0
"""Seconds that a share of the processor is measured over at the least."""


def connection_word(standing: Standing) -> str:
    """Return the words that stand for where the agent stands with its center."""
    if standing.state is ConnectionState.CONNECTED:
        return "ok"
    if standing.state is ConnectionState.NOT_CONFIGURED:
        return "not provisioned"
    return "broken certificate" if standing.fault == FAULT_CERTIFICATE else "not connected"


class StatusReader:
    """Reads the status. Its methods block: for one thread at a time."""

    def __init__(
        self,
        *,
        connection: Connection,
        configuration: Configuration,
        storage: Storage,
        microservices: Callable[[], int],
        home: Path,
        clock: Clock,
        proc: Path = Path("/proc"),
    ) -> None:
        """`microservices` counts those that run; `home` lies on the disk that is shown."""
        self._connection = connection
        self._configuration = configuration
        self._storage = storage
        self._microservices = microservices
        self._home = home
        self._clock = clock
        self._proc = proc
        self._host = LoadMeter(proc.parent)
        self._shares = (0.0, 0.0)
        self._measured: tuple[float, float] | None = None

    def read(self) -> dict[str, str]:
        """Return the eleven lines of the status. What can't be read is an empty text."""
        disk = self._disk()
        own, whole = self._processor()
        return {
            "iofog-daemon": "RUNNING",
            "memory-usage": f"about {self._resident() / _MIB:.2f} MiB",
            "disk-usage": f"about {self._storage.used() / _MIB:.2f} MiB",
            "cpu-usage": f"about {own:.2f} %",
            "running-microservices": str(self._microservices()),
            "connection-to-controller": connection_word(self._connection.standing),
            # Messages between microservices come with a later engine: none has passed.
            "messages-processed": f"about {0:,}",
            "system-time": self._time(),
            "system-available-disk": disk,
            "system-available-memory": self._available_memory(),
            "system-total-cpu": f"{whole:.2f} %",
        }

    def _processor(self) -> tuple[float, float]:
        now = self._clock.monotonic()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = usage.ru_utime + usage.ru_stime
        if self._measured is None or now - self._measured[0] >= _WINDOW:
            began, before = self._measured or (now - max(_uptime(self._proc), _WINDOW), 0.0)
            cores = len(os.sched_getaffinity(0)) or 1
            own = min(max(0.0, used - before) / (now - began) / cores, 1.0) * _PERCENT
            self._shares = (own, self._host.read().cpu_percent)
            self._measured = (now, used)
        return self._shares

    def _resident(self) -> int:
        fields = _sizes(self._proc / "self" / "status")
        return fields.get("VmRSS", 0)

    def _available_memory(self) -> str:
        return f"{_sizes(self._proc / 'meminfo').get('MemAvailable', 0) / _MIB:.2f} MB"

    def _disk(self) -> str:
        usage = shutil.disk_usage(self._home)
        share = usage.free / usage.total * _PERCENT if usage.total else 0.0
        return f"{usage.free / _MIB:.2f} MB ({share:.2f} %)"

    def _time(self) -> str:
        name = self._configuration.of(TIME_ZONE)
        zone = _zone(name) if name else None
        now = dt.datetime.fromtimestamp(self._clock.time(), tz=dt.UTC).astimezone(zone)
        return now.strftime("%d/%m/%Y %I:%M ") + ("AM" if now.hour < 12 else "PM")  # noqa: PLR2004 - noon


def _zone(name: str) -> dt.tzinfo | None:
    import zoneinfo  # noqa: PLC0415 - few set a zone, and the daemon stays light

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:
        log.debug("the time zone is not there any more", zone=name, error=error)
        return None


def _sizes(file: Path) -> dict[str, int]:
    """Read the lines `name: number kB` of a file of /proc, in bytes."""
    sizes = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == len(("number", "kB")) and words[1] == "kB":
            sizes[name] = int(words[0]) * _KIB
    return sizes


def _uptime(proc: Path) -> float:
    """Return the seconds since this process began."""
    since_boot = float((proc / "uptime").read_text(encoding="ascii").split()[0])
    ticks = int((proc / "self" / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    return since_boot - ticks / os.sysconf("SC_CLK_TCK")
