"""The three ways to say when, and the next time that each is due.

A calendar's local times are moments of its zone: a time that the zone skips (clocks set forward) is due at
the first moment after the gap; one that it repeats (clocks set back) is due once, the first time. Intervals
count seconds and know no clock changes.
"""

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from outrider.domain.schedules.cron import next_local, parse_cron
from outrider.domain.schedules.errors import InvalidSchedule
from outrider.kit.nearest import nearest

MIN_INTERVAL: Final = 1.0
MAX_INTERVAL: Final = 366 * 86_400.0
_MIN_MOMENT: Final = 0.0
_MAX_MOMENT: Final = 4_102_444_800.0
"""2100-01-01: later dates are slips of the keyboard."""


class At(msgspec.Struct, frozen=True, tag="at"):
    """Once, at a moment in unix seconds."""

    moment: float


class Every(msgspec.Struct, frozen=True, tag="every"):
    """Again and again: at `start` in unix seconds, and each time so many seconds later."""

    seconds: float
    start: float


class Calendar(msgspec.Struct, frozen=True, tag="cron"):
    """By a cron expression, on the clocks of an IANA zone."""

    cron: str
    zone: str


When = At | Every | Calendar


def next_after(when: When, moment: float) -> float | None:
    """Return the first time that is due after `moment`, in unix seconds; None when there is none."""
    match when:
        case At(at):
            return at if at > moment else None
        case Every(seconds, start):
            if start > moment:
                return start
            number = math.floor((moment - start) / seconds) + 1
            found = start + number * seconds
            # What floating point has rounded down to `moment` is that moment, not the next.
            return found if found > moment else start + (number + 1) * seconds
        case Calendar(cron, zone):
            return _next_of_calendar(cron, zone_called(zone), moment)


def _next_of_calendar(text: str, zone: ZoneInfo, moment: float) -> float | None:
    if not _MIN_MOMENT <= moment < _MAX_MOMENT:
        return None
    cron = parse_cron(text)
    local = datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)
    while (candidate := next_local(cron, local)) is not None:
        due = moment_of(candidate, zone)
        if due > moment:
            return due
        # Within the hour that comes twice: it was due when it came first.
        local = candidate
    return None


def moment_of(local: datetime, zone: ZoneInfo) -> float:
    """Return the moment of a local time in unix seconds: the first of two, or the end of the gap it is in."""
    before = local.replace(tzinfo=zone, fold=0).timestamp()
    if _local(before, zone) == local:
        return before
    # The offset that holds before the gap puts it after, the one that holds after puts it before.
    low, high = math.floor(local.replace(tzinfo=zone, fold=1).timestamp()), math.ceil(before)
    offset = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return float(high)


def _local(moment: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _offset(moment: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, zone).utcoffset()


@lru_cache(maxsize=1024)
def zone_called(name: str, field: str = "when.zone") -> ZoneInfo:
    """Find a zone by its IANA name. Raises `InvalidSchedule`."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        # A name that nobody knows or no file has, that is a folder, or that leads out of the folder of zones.
        meant = nearest(name[:80], _zone_names())
        hint = f" Did you mean {meant}?" if meant else " Use a name such as Europe/Berlin, or UTC."
        raise InvalidSchedule(f"There is no time zone {name[:80]!r}.{hint}", field=field) from None


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def parse_at(at: float | str, zone: str | None) -> At:
    """Read a moment: unix seconds, or local ISO time with a zone or an offset. Raises `InvalidSchedule`."""
    if isinstance(at, str):
        moment = _iso(at, zone)
    elif zone is not None:
        raise InvalidSchedule("Unix seconds need no zone; leave it out.", field="when.zone")
    else:
        moment = float(at)
    return At(_checked(moment, "when.at"))


def _iso(text: str, zone: str | None) -> float:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidSchedule(
            f"{text[:80]!r} is not a date and time; write 2027-01-31T02:00.", field="when.at"
        ) from None
    if local.tzinfo is not None:
        if zone is not None:
            raise InvalidSchedule("The time has an offset already; leave the zone out.", field="when.zone")
        return _clipped(local)
    if zone is None:
        raise InvalidSchedule("A local time needs a zone, such as Europe/Berlin.", field="when.zone")
    known = zone_called(zone)
    try:
        return moment_of(local, known)
    except (OverflowError, OSError, ValueError):
        raise _out_of_range("when.at") from None


def _clipped(local: datetime) -> float:
    try:
        return local.astimezone(UTC).timestamp()
    except (OverflowError, OSError, ValueError):
        raise _out_of_range("when.at") from None


def parse_every(seconds: float, start: float | None, *, now: float) -> Every:
    """Read an interval; it starts now unless told otherwise. Raises `InvalidSchedule`."""
    if not MIN_INTERVAL <= seconds <= MAX_INTERVAL:
        raise InvalidSchedule("An interval is from 1 second to 366 days long.", field="when.every")
    return Every(float(seconds), _checked(now if start is None else float(start), "when.start"))


def parse_calendar(cron: str, zone: str | None) -> Calendar:
    """Read a cron expression and its zone (UTC when left out). Raises `InvalidSchedule`."""
    name = "UTC" if zone is None else zone
    zone_called(name)
    parse_cron(cron)
    return Calendar(" ".join(cron.split()), name)


def _checked(moment: float, field: str) -> float:
    if not _MIN_MOMENT <= moment < _MAX_MOMENT:
        raise _out_of_range(field)
    return moment


def _out_of_range(field: str) -> InvalidSchedule:
    return InvalidSchedule("A time lies between 1970 and 2100.", field=field)
