"""When a schedule is due next: clock changes both ways, intervals, moments."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.domain.schedules.errors import InvalidSchedule
from outrider.domain.schedules.plan import Plan, plan
from outrider.domain.schedules.when import (
    At,
    Calendar,
    Every,
    When,
    moment_of,
    next_after,
    parse_at,
    parse_calendar,
    parse_every,
)


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _times(when: When, after: str, count: int, zone: str) -> list[str]:
    moment, found = _unix(after), []
    for _ in range(count):
        due = next_after(when, moment)
        assert due is not None
        found.append(datetime.fromtimestamp(due, ZoneInfo(zone)).isoformat())
        moment = due
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "after", "times"),
    [
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2027-03-27T12:00+01:00",
            ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"],
            id="a skipped time runs at the first moment after",
        ),
        pytest.param(
            "*/30 * * * *",
            "Europe/Berlin",
            "2027-03-28T01:30+01:00",
            ["2027-03-28T03:00:00+02:00", "2027-03-28T03:30:00+02:00"],
            id="all that were skipped run once, together with the time itself",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2027-10-30T12:00+02:00",
            ["2027-10-31T02:30:00+02:00", "2027-11-01T02:30:00+01:00"],
            id="a repeated time runs once, the first time",
        ),
        pytest.param(
            "0 * * * *",
            "Europe/Berlin",
            "2027-10-31T01:30+02:00",
            ["2027-10-31T02:00:00+02:00", "2027-10-31T03:00:00+01:00"],
            id="also of a calendar that names every hour",
        ),
        pytest.param(
            "*/20 * * * *",
            "Europe/Berlin",
            "2027-10-31T02:10+01:00",
            ["2027-10-31T03:00:00+01:00"],
            id="made within the second of the two hours",
        ),
        pytest.param(
            "0 0 * * *",
            "America/Sao_Paulo",
            "2018-11-03T12:00-03:00",
            ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
            id="a midnight that does not exist",
        ),
        pytest.param(
            "0 2 * * *",
            "Australia/Lord_Howe",
            "2027-10-02T12:00+10:30",
            ["2027-10-03T02:30:00+11:00", "2027-10-04T02:00:00+11:00"],
            id="a change of half an hour",
        ),
        pytest.param(
            "0 12 30 12 *",
            "Pacific/Apia",
            "2011-12-01T00:00-10:00",
            ["2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"],
            id="a day that a country left out",
        ),
        pytest.param(
            "0 0 29 2 *",
            "UTC",
            "2027-01-01T00:00+00:00",
            ["2028-02-29T00:00:00+00:00"],
            id="leap day",
        ),
    ],
)
def test_a_calendar_is_due_once_whatever_the_clocks_do(
    cron: str, zone: str, after: str, times: list[str]
) -> None:
    """Clocks set forward and back, in zones with their own habits."""
    assert _times(parse_calendar(cron, zone), after, len(times), zone) == times


def test_an_interval_knows_no_clock_changes() -> None:
    """Every hour stays every hour on the day that has twenty-five."""
    every = parse_every(3600, _unix("2027-10-31T00:00+02:00"), now=0.0)
    assert _times(every, "2027-10-31T01:30+02:00", 3, "Europe/Berlin") == [
        "2027-10-31T02:00:00+02:00",
        "2027-10-31T02:00:00+01:00",
        "2027-10-31T03:00:00+01:00",
    ]


def test_once_is_once() -> None:
    """A moment is due until it has come."""
    assert next_after(At(100.0), 99.9) == 100.0
    assert next_after(At(100.0), 100.0) is None


_ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
)
_CRONS = st.sampled_from(
    [
        "* * * * *",
        "*/7 1-3 * * *",
        "30 2 * * *",
        "0 0 1 * *",
        "15 */6 * * SUN",
        "*/10 * * * * *",
        "0 2 L 3,10 *",
    ]
)
_MOMENTS = st.floats(1.6e9, 2.0e9)


@given(_CRONS, _ZONES, _MOMENTS)
@settings(deadline=None)
def test_times_move_on_and_match_their_clock(cron: str, zone: str, moment: float) -> None:
    """Each next time is later, is the same from wherever before it one looks."""
    when = parse_calendar(cron, zone)
    due = next_after(when, moment)
    assert due is not None
    assert due > moment
    assert next_after(when, (moment + due) / 2) == due
    assert next_after(when, due - 0.001) == due
    following = next_after(when, due)
    assert following is not None
    assert following > due


@given(_ZONES, st.integers(1_600_000_000, 2_000_000_000))
def test_a_local_time_is_its_first_moment(zone: str, moment: int) -> None:
    """From a moment to its local time and back: the same, or the earlier of the two with that local time."""
    where = ZoneInfo(zone)
    local = datetime.fromtimestamp(moment, where).replace(tzinfo=None)
    back = moment_of(local.replace(fold=0), where)
    assert back <= moment
    assert datetime.fromtimestamp(back, where).replace(tzinfo=None, fold=0) == local.replace(fold=0)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_year_of_minutes_is_never_twice_or_lost(zone: str) -> None:
    """A calendar of every half hour, over the whole year: only the repeated hour has fewer."""
    when = parse_calendar("*/30 * * * *", zone)
    moment, seen = _unix("2027-01-01T00:00+00:00"), []
    while moment < _unix("2028-01-01T00:00+00:00"):
        following = next_after(when, moment)
        assert following is not None
        seen.append(following)
        moment = following
    steps = [after - before for before, after in pairwise(seen)]
    assert set(steps) <= {1800.0, 3600.0, 5400.0}
    assert sum(step != 1800.0 for step in steps) == 1


@given(st.floats(1.0, 1e6), st.floats(0, 2e9), st.floats(0, 2e9))
def test_an_interval_is_due_at_whole_multiples(seconds: float, start: float, moment: float) -> None:
    """The next one is later, and at most an interval away once it has begun."""
    due = next_after(Every(seconds, start), moment)
    assert due is not None
    assert due > moment
    if moment >= start:
        assert due - moment <= seconds * (1 + 1e-6) + 1e-6


def test_ways_to_write_a_moment() -> None:
    """Unix seconds, a time with an offset, a local time with a zone."""
    assert parse_at(1_800_000_000, None) == At(1_800_000_000.0)
    assert parse_at("2027-01-31T02:00+01:00", None) == At(_unix("2027-01-31T02:00+01:00"))
    assert parse_at("2027-01-31T02:00", "Europe/Berlin") == At(_unix("2027-01-31T02:00+01:00"))
    assert parse_at("2027-03-28T02:30", "Europe/Berlin") == At(_unix("2027-03-28T03:00+02:00"))
    assert parse_at("2027-10-31T02:30", "Europe/Berlin") == At(_unix("2027-10-31T02:30+02:00"))


@pytest.mark.parametrize(
    ("at", "zone", "field"),
    [
        ("tomorrow", "UTC", "when.at"),
        ("2027-01-31T02:00", None, "when.zone"),
        ("2027-01-31T02:00Z", "UTC", "when.zone"),
        (1.0, "UTC", "when.zone"),
        ("2027-01-31T02:00", "Mars/Base", "when.zone"),
        ("2027-01-31T02:00", "../../etc/passwd", "when.zone"),
        ("2027-01-31T02:00", "Europe", "when.zone"),
        ("2027-01-31T02:00", "", "when.zone"),
        ("2027-01-31T02:00", "x\0", "when.zone"),
        ("9999-12-31T23:59", "America/New_York", "when.at"),
        ("0001-01-01T00:00", "Asia/Tokyo", "when.at"),
        ("0001-01-01T00:00+12:00", None, "when.at"),
        (-5.0, None, "when.at"),
        (float("inf"), None, "when.at"),
        (float("nan"), None, "when.at"),
    ],
)
def test_a_moment_that_is_none_is_refused(at: float | str, zone: str | None, field: str) -> None:
    """The error points at the field."""
    with pytest.raises(InvalidSchedule) as caught:
        parse_at(at, zone)
    assert caught.value.fields["field"] == field


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.5, 1e9, float("nan")])
def test_an_interval_has_bounds(seconds: float) -> None:
    """From a second to a year."""
    with pytest.raises(InvalidSchedule) as caught:
        parse_every(seconds, None, now=1.0)
    assert caught.value.fields["field"] == "when.every"


def test_a_wrong_zone_is_guessed() -> None:
    """A slip of the keyboard is met with what was meant."""
    with pytest.raises(InvalidSchedule, match="Did you mean Europe/Berlin"):
        parse_calendar("* * * * *", "europe/berln")


_EVERY_MINUTE = Every(60.0, 0.0)


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [
        (600.0, 600.0, Plan(fires=600.0, missed=None, next=660.0)),
        (600.0, 601.5, Plan(fires=600.0, missed=None, next=660.0)),
        (600.0, 900.0, Plan(fires=600.0, missed=None, next=960.0)),
        (600.0, 901.0, Plan(fires=660.0, missed=600.0, next=960.0)),
        (600.0, 6010.0, Plan(fires=5760.0, missed=600.0, next=6060.0)),
    ],
)
def test_what_was_missed_fires_once_if_it_is_young(due: float, now: float, expected: Plan) -> None:
    """With a grace of five minutes: several missed times are one firing, older ones are recorded."""
    assert plan(_EVERY_MINUTE, due, now=now, grace=300.0) == expected


def test_what_was_missed_for_too_long_does_not_fire() -> None:
    """A daily schedule, looked at hours late: recorded, and on to the next day."""
    daily = Calendar("0 3 * * *", "UTC")
    due = _unix("2027-01-01T03:00+00:00")
    assert plan(daily, due, now=due + 7200, grace=3600.0) == Plan(
        fires=None, missed=due, next=due + timedelta(days=1).total_seconds()
    )
    assert plan(At(due), due, now=due + 7200, grace=3600.0) == Plan(fires=None, missed=due, next=None)
    assert datetime.fromtimestamp(due, UTC).hour == 3
