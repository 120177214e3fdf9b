"""Cron expressions: five fields, or six with seconds first, on a clock without a zone.

    [second 0-59] minute 0-59  hour 0-23  day 1-31  month 1-12 or JAN-DEC  weekday 0-7 or SUN-SAT

    *  ?        any value (? where a day field has nothing to say)
    a,b  a-b    these; a range may wrap around (FRI-MON, 22-2)
    */n  a/n    every n-th from the first (or a) to the last
    L  L-n      day: the last of the month, or the n-th before it
    nW  LW      day: the weekday nearest to the n-th (or the last weekday), within the month
    nL          weekday: the last such of the month; L alone is Saturday
    n#k         weekday: the k-th such of the month

Sunday is 0 and 7. Where day and weekday are both given, both must match.
"""

import calendar
import re
from collections.abc import Sequence
from datetime import MAXYEAR, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from outrider.domain.schedules.errors import InvalidSchedule

FIELD: Final = "when.cron"
_MAX_LENGTH: Final = 255
_MONTHS: Final = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS: Final = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_WEEK: Final = 7
_YEARS: Final = 41
"""The 29th of February falls on a given weekday every 28 years, or 40 where a century has no leap year."""
_NUMBER: Final = re.compile(r"[0-9]{1,4}")


class _Field(msgspec.Struct, frozen=True):
    name: str
    low: int
    high: int
    words: dict[str, int] = {}


_SECOND: Final = _Field("second", 0, 59)
_MINUTE: Final = _Field("minute", 0, 59)
_HOUR: Final = _Field("hour", 0, 23)
_DAY: Final = _Field("day", 1, 31)
_MONTH: Final = _Field("month", 1, 12, _MONTHS)
_WEEKDAY: Final = _Field("weekday", 0, 7, _DAYS)
_FIVE: Final = 5


class Days(msgspec.Struct, frozen=True):
    """Which days of a month: numbers, and what depends on the month. Weekdays count from Sunday, 0."""

    numbers: frozenset[int]
    #: Days before the end of the month; 0 is the last day.
    from_end: frozenset[int] = frozenset()
    #: The weekday nearest to this day; 0 is the last weekday.
    nearest: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset(range(_WEEK))
    #: (weekday, n): the n-th of the month; n 0 is the last.
    nth: frozenset[tuple[int, int]] = frozenset()


class Cron(msgspec.Struct, frozen=True):
    """A cron expression, read. Values are sorted."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: Days
    months: tuple[int, ...]


@lru_cache(maxsize=4096)
def parse_cron(text: str) -> Cron:
    """Read an expression. Raises `InvalidSchedule`, also for days that never come."""
    if len(text) > _MAX_LENGTH:
        raise InvalidSchedule(f"A cron expression has at most {_MAX_LENGTH} characters.", field=FIELD)
    fields = text.upper().split()
    if len(fields) not in (_FIVE, _FIVE + 1):
        raise InvalidSchedule(
            "A cron expression has five fields (minute, hour, day, month, weekday), or six with seconds"
            f" first; this one has {len(fields)}.",
            field=FIELD,
        )
    second, minute, hour, day, month, weekday = fields if len(fields) > _FIVE else ["0", *fields]
    cron = Cron(
        seconds=_plain(_SECOND, second),
        minutes=_plain(_MINUTE, minute),
        hours=_plain(_HOUR, hour),
        days=_days(day, weekday),
        months=_plain(_MONTH, month),
    )
    # Any start finds what there is: four hundred years of the calendar repeat, and these hold every case.
    if next_local(cron, datetime(2000, 1, 1)) is None:  # noqa: DTZ001 (a calendar without a zone)
        raise InvalidSchedule(
            f"No such day ever comes: day {day}, month {month}, weekday {weekday}.", field=FIELD
        )
    return cron


def _fault(field: _Field, item: str, reason: str) -> InvalidSchedule:
    return InvalidSchedule(f"The {field.name} field of the cron expression: `{item}` {reason}.", field=FIELD)


def _plain(field: _Field, text: str) -> tuple[int, ...]:
    values: set[int] = set()
    for item in text.split(","):
        values |= _item(field, item)
    return tuple(sorted(values))


def _item(field: _Field, item: str) -> set[int]:
    """Read a value, a range or steps."""
    span, slash, step_text = item.partition("/")
    step = 1
    if slash:
        if not _NUMBER.fullmatch(step_text) or not 1 <= int(step_text) <= field.high:
            raise _fault(field, item, f"needs a step from 1 to {field.high} after the /")
        step = int(step_text)
    first, dash, last = span.partition("-")
    top = _WEEK - 1 if field is _WEEKDAY else field.high
    if span in ("*", "?"):
        low, high = field.low, top
    elif dash:
        low, high = _value(field, first, item), _value(field, last, item)
    else:
        low = _value(field, span, item)
        high = max(low, top) if slash else low
    # A range may go around the end, where Sunday is 0 and not 7.
    around = [*range(low, top + 1), *range(field.low, high + 1)]
    return set((around if low > high else range(low, high + 1))[::step])


def _value(field: _Field, text: str, item: str) -> int:
    if text in field.words:
        return field.words[text]
    if not _NUMBER.fullmatch(text):
        words = f" or {next(iter(field.words))}-{[*field.words][-1]}" if field.words else ""
        raise _fault(field, item, f"is not understood; use {field.low}-{field.high}{words}")
    value = int(text)
    if not field.low <= value <= field.high:
        raise _fault(field, item, f"is out of range; use {field.low}-{field.high}")
    return value


def _days(day: str, weekday: str) -> Days:
    numbers, from_end, nearest = _days_of_month(day)
    weekdays, nth = _days_of_week(weekday)
    return Days(
        frozenset(numbers), frozenset(from_end), frozenset(nearest), frozenset(weekdays), frozenset(nth)
    )


def _days_of_month(text: str) -> tuple[set[int], set[int], set[int]]:
    numbers: set[int] = set()
    from_end: set[int] = set()
    nearest: set[int] = set()
    for item in text.split(","):
        if item == "L":
            from_end.add(0)
        elif item == "LW":
            nearest.add(0)
        elif item.startswith("L-"):
            before = item[2:]
            if not _NUMBER.fullmatch(before) or not 1 <= int(before) <= _DAY.high - 1:
                raise _fault(_DAY, item, "needs a number of days from 1 to 30 after L-")
            from_end.add(int(before))
        elif item.endswith("W") and item != "W":
            nearest.add(_value(_DAY, item[:-1], item))
        else:
            numbers |= _item(_DAY, item)
    return numbers, from_end, nearest


def _days_of_week(text: str) -> tuple[set[int], set[tuple[int, int]]]:
    weekdays: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for item in text.split(","):
        name, hash_sign, number = item.partition("#")
        if hash_sign:
            if not _NUMBER.fullmatch(number) or not 1 <= int(number) <= _FIVE:
                raise _fault(_WEEKDAY, item, "needs a number from 1 to 5 after the #")
            nth.add((_value(_WEEKDAY, name, item) % _WEEK, int(number)))
        elif item == "L":
            weekdays.add(_WEEK - 1)
        elif item.endswith("L"):
            nth.add((_value(_WEEKDAY, item[:-1], item) % _WEEK, 0))
        else:
            weekdays |= {value % _WEEK for value in _item(_WEEKDAY, item)}
    return weekdays, nth


@lru_cache(maxsize=4096)
def days_of(days: Days, year: int, month: int) -> tuple[int, ...]:
    """List the days of a month that match, in order."""
    first, length = calendar.monthrange(year, month)
    weekday_of_first = (first + 1) % _WEEK
    by_day = {day for day in days.numbers if day <= length}
    by_day |= {length - before for before in days.from_end if before < length}
    by_day |= {_nearest_weekday(day, length, weekday_of_first) for day in days.nearest if day <= length}
    by_weekday = set()
    for day in range(1, length + 1):
        weekday = (weekday_of_first + day - 1) % _WEEK
        number = (day - 1) // _WEEK + 1
        is_last = day + _WEEK > length
        if (
            weekday in days.weekdays
            or (weekday, number) in days.nth
            or (is_last and (weekday, 0) in days.nth)
        ):
            by_weekday.add(day)
    return tuple(sorted(by_day & by_weekday))


def _nearest_weekday(day: int, length: int, weekday_of_first: int) -> int:
    """Find the weekday (Monday to Friday) nearest to a day, without leaving the month; 0 is the last day."""
    wanted = day or length
    weekday = (weekday_of_first + wanted - 1) % _WEEK
    if weekday == _WEEK - 1:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 0:
        back = day == 0 or wanted == length
        return wanted - 2 if back else wanted + 1
    return wanted


def next_local(cron: Cron, after: datetime) -> datetime | None:
    """Return the first matching second after a moment of the same clock; None when none comes in 41 years."""
    start = after.replace(microsecond=0) + timedelta(seconds=1)
    time_of_day = (start.hour, start.minute, start.second)
    last_year = min(start.year + _YEARS, MAXYEAR)
    for year in range(start.year, last_year + 1):
        for month in cron.months:
            if (year, month) < (start.year, start.month):
                continue
            for day in days_of(cron.days, year, month):
                date = (year, month, day)
                if date < (start.year, start.month, start.day):
                    continue
                is_today = date == (start.year, start.month, start.day)
                found = _next_time(cron, time_of_day if is_today else (0, 0, 0))
                if found is not None:
                    return datetime(year, month, day, *found)  # noqa: DTZ001 (a clock without a zone)
    return None


def _next_time(cron: Cron, start: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """Find the first matching time of a day from `start` on."""
    hour, minute, second = start
    for found_hour in _from(cron.hours, hour):
        later_hour = found_hour > hour
        for found_minute in _from(cron.minutes, 0 if later_hour else minute):
            later = later_hour or found_minute > minute
            for found_second in _from(cron.seconds, 0 if later else second):
                return found_hour, found_minute, found_second
    return None


def _from(values: Sequence[int], low: int) -> Sequence[int]:
    return [value for value in values if value >= low]
