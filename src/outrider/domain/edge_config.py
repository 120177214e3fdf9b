"""The options of an agent's own configuration: their names, what they take, and how they are shown.

Seed 003 and contract 003 name them. Everything here is a table and pure rules: whether a folder or a network
card is there is asked on the host.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from outrider.domain.errors import Invalid

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_VALUE: Final = 1024
_SHOWN: Final = 80
_LONGEST_NUMBER: Final = 9
_MAX_WHOLE: Final = 10**_LONGEST_NUMBER - 1
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_CARD: Final = re.compile(r"[^\s/:]{1,15}")
_COORDINATE: Final = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Generic[T_co]):
    """An option. `read` raises ValueError, `rule` says what it takes, `means` what it does.

    Where nothing is set, `default` is read; an empty text stands for an option that is not set, which only
    those can be that have an empty default.
    """

    name: str
    default: str
    read: Callable[[str], T_co]
    rule: str
    means: str

    def text(self, values: Mapping[str, str]) -> str:
        """Return its text among `values`, or its default."""
        return values.get(self.name, self.default)

    def of(self, values: Mapping[str, str]) -> T_co:
        """Return its value among `values`; that of its default when they do not set it. Raises ValueError."""
        return self.read(self.text(values))

    def checked(self, text: str) -> str:
        """Return the text as it is kept. Raises `Invalid`, which names the option and what it takes."""
        value = text.strip()
        if not self._takes(value):
            raise Invalid(f"{self.name} must be {self.rule}, not {value[:_SHOWN]!r}", field=self.name)
        return value

    def _takes(self, value: str) -> bool:
        if len(value) > MAX_VALUE or not value.isprintable():
            return False
        try:
            self.read(value)
        except ValueError:
            return False
        return True


class Coordinates(NamedTuple):
    """A place on the earth, in degrees."""

    latitude: float
    longitude: float


class Gps(NamedTuple):
    """What an agent says of its place: `auto`, `off` or `manual`, and the place that was given."""

    mode: str
    place: Coordinates | None


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(text)
        return float(text)

    return read


def _whole(low: int, high: int = _MAX_WHOLE) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
            raise ValueError(text)
        if not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return read


def _unless_empty(read: Callable[[str], T]) -> Callable[[str], T | None]:
    return lambda text: read(text) if text else None


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read


def _switch(text: str) -> bool:
    return _one_of("on", "off")(text) == "on"


def _folder(text: str) -> str:
    if text and (not text.startswith("/") or ".." in text.split("/")):
        raise ValueError(text)
    return text


def _address_of(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        given = {scheme: text.removeprefix(f"{scheme}://") for scheme in schemes}
        if text and not any(rest and rest != text for rest in given.values()):
            raise ValueError(text)
        return text

    return read


def _card(text: str) -> str:
    if not _CARD.fullmatch(text) or text in {".", ".."}:
        raise ValueError(text)
    return text


def _time_zone(text: str) -> str:
    if text and (not re.fullmatch(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}", text)):
        raise ValueError(text)
    return text


_LEVELS: Final = {
    "": "",
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    # What the original's agents are told.
    "severe": "error",
    "config": "info",
    "fine": "debug",
    "finer": "debug",
    "finest": "debug",
    "all": "debug",
}


def _level(text: str) -> str:
    level = _LEVELS.get(text.lower())
    if level is None:
        raise ValueError(text)
    return level


_MOST_LATITUDE: Final = 90.0
_MOST_LONGITUDE: Final = 180.0


def _gps(text: str) -> Gps:
    if text in {"auto", "off"}:
        return Gps(text, None)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(Coordinates._fields) or not all(_COORDINATE.fullmatch(part) for part in parts):
        raise ValueError(text)
    place = Coordinates(float(parts[0]), float(parts[1]))
    if abs(place.latitude) > _MOST_LATITUDE or abs(place.longitude) > _MOST_LONGITUDE:
        raise ValueError(text)
    return Gps("manual", place)


DYNAMIC: Final = "dynamic"
"""The network card of an agent that goes by the host's routes."""

_SECONDS: Final = "a whole number of seconds from 1 on"
_FOLDER: Final = "an absolute path, or nothing"

DISK_LIMIT: Final = Option(
    name="disk-limit",
    default="",
    read=_unless_empty(_number(1, 1_048_576)),
    rule="1 to 1048576 GiB, or nothing",
    means="What the agent stores may take this much; above it commands wait at the center.",
)
DISK_DIRECTORY: Final = Option(
    name="disk-directory",
    default="",
    read=_folder,
    rule=_FOLDER,
    means="The folder for commands' output that is not delivered yet; from the next start on.",
)
MEMORY_LIMIT: Final = Option(
    name="memory-limit",
    default="",
    read=_unless_empty(_number(128, 1_048_576)),
    rule="128 to 1048576 MiB, or nothing",
    means="Memory of all commands together above which the kernel slows them down.",
)
CPU_LIMIT: Final = Option(
    name="cpu-limit",
    default="100",
    read=_number(5, 100),
    rule="5 to 100 %",
    means="The share of the host's processors that all commands together may use.",
)
CONTROLLER_URL: Final = Option(
    name="controller-url",
    default="",
    read=_address_of("https", "http"),
    rule="an address such as https://center.example:8443, or nothing",
    means="The center to join, or the new address of the one that this host belongs to.",
)
CERT_DIRECTORY: Final = Option(
    name="cert-directory",
    default="",
    read=_folder,
    rule=_FOLDER,
    means="A folder with certificates (.pem, .crt) of authorities that vouch for the center, too.",
)
DOCKER_URL: Final = Option(
    name="docker-url",
    default="unix:///var/run/docker.sock",
    read=_address_of("unix", "tcp"),
    rule="an address that begins with unix:// or tcp://",
    means="Where the container engine listens.",
)
NETWORK_ADAPTER: Final = Option(
    name="network-adapter",
    default=DYNAMIC,
    read=_card,
    rule="dynamic or the name of a network card",
    means="The card whose address the agent reports, and from which it dials the center.",
)
LOGS_LIMIT: Final = Option(
    name="logs-limit",
    default="",
    read=_unless_empty(_number(0.5, 100)),
    rule="0.5 to 100 GiB, or nothing",
    means="What all log files together may take.",
)
LOGS_DIRECTORY: Final = Option(
    name="logs-directory",
    default="",
    read=_folder,
    rule=_FOLDER,
    means="The folder of the log files; without one the log goes where it went at the start.",
)
LOGS_COUNT: Final = Option(
    name="logs-count",
    default="",
    read=_unless_empty(_whole(1, 100)),
    rule="1 to 100, or nothing",
    means="How many log files there are.",
)
STATUS_FREQUENCY: Final = Option(
    name="status-frequency",
    default="10",
    read=_whole(1),
    rule=_SECONDS,
    means="Seconds between two readings of the host that the center gets.",
)
CHANGES_FREQUENCY: Final = Option(
    name="changes-frequency",
    default="10",
    read=_whole(1),
    rule=_SECONDS,
    means="Seconds between two questions to the center, where the network lets no link through.",
)
DIAGNOSTICS_FREQUENCY: Final = Option(
    name="diagnostics-frequency",
    default="10",
    read=_whole(1),
    rule=_SECONDS,
    means="Kept and shown.",
)
DEVICE_SCAN_FREQUENCY: Final = Option(
    name="device-scan-frequency",
    default="60",
    read=_whole(1),
    rule=_SECONDS,
    means="Kept and shown.",
)
ISOLATED: Final = Option(
    name="isolated", default="off", read=_switch, rule="on or off", means="Kept and shown."
)
GPS: Final = Option(
    name="gps",
    default="off",
    read=_gps,
    rule="auto, off or lat,lon (-90 to 90, -180 to 180)",
    means="Where this host stands; nothing is looked up elsewhere.",
)
FOG_TYPE: Final = Option(
    name="fog-type",
    default="auto",
    read=_one_of("auto", "intel_amd", "arm"),
    rule="auto, intel_amd or arm",
    means="The kind of processor that is shown.",
)
DEVELOPER_MODE: Final = Option(
    name="developer-mode", default="off", read=_switch, rule="on or off", means="Kept and shown."
)
LOG_LEVEL: Final = Option(
    name="log-level",
    default="",
    read=_level,
    rule="debug, info, warning or error, or nothing",
    means="The least important lines to log; without one, as the agent was started.",
)
DOCKER_PRUNING_FREQUENCY: Final = Option(
    name="docker-pruning-frequency",
    default="1",
    read=_whole(1),
    rule="a whole number of hours from 1 on",
    means="Kept and shown.",
)
DISK_THRESHOLD: Final = Option(
    name="disk-threshold",
    default="20",
    read=_number(1, 100),
    rule="1 to 100 %",
    means="Kept and shown.",
)
TIME_ZONE: Final = Option(
    name="time-zone",
    default="",
    read=_time_zone,
    rule="a name such as Europe/Berlin, or nothing",
    means="The zone of the time that the status shows; without one, the host's own.",
)

OPTIONS: Final[Mapping[str, Option[object]]] = {
    each.name: each
    for each in (
        DISK_LIMIT,
        DISK_DIRECTORY,
        MEMORY_LIMIT,
        CPU_LIMIT,
        CONTROLLER_URL,
        CERT_DIRECTORY,
        DOCKER_URL,
        NETWORK_ADAPTER,
        LOGS_LIMIT,
        LOGS_DIRECTORY,
        LOGS_COUNT,
        STATUS_FREQUENCY,
        CHANGES_FREQUENCY,
        DIAGNOSTICS_FREQUENCY,
        DEVICE_SCAN_FREQUENCY,
        ISOLATED,
        GPS,
        FOG_TYPE,
        DEVELOPER_MODE,
        LOG_LEVEL,
        DOCKER_PRUNING_FREQUENCY,
        DISK_THRESHOLD,
        TIME_ZONE,
    )
}
"""All options by name, in the order in which they are shown."""

_OTHER_NAMES: Final = {"logs-level": LOG_LEVEL.name, "disk-threshold integer": DISK_THRESHOLD.name}


def option_called(name: str) -> Option[object] | None:
    """Return the option of this name, also by the other names that published clients use."""
    return OPTIONS.get(_OTHER_NAMES.get(name, name))


def as_text(value: object) -> str:
    """Return what a client has sent for an option: a text, or a number or truth as clients write it.

    Raises ValueError for anything else.
    """
    match value:
        case str():
            return value
        case bool():
            return "on" if value else "off"
        case int() | float():
            return f"{value:.12g}" if isinstance(value, float) else str(value)
        case _:
            raise ValueError(type(value).__name__)
