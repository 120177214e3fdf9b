"""Cron expressions: what they match, and what is refused."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.domain.schedules.cron import days_of, next_local, parse_cron
from outrider.domain.schedules.errors import InvalidSchedule


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("cron", "after", "times"),
    [
        ("30 2 * * *", "2027-01-31T02:30", ["2027-02-01T02:30", "2027-02-02T02:30"]),
        ("*/15 * * * *", "2027-01-01T00:10", ["2027-01-01T00:15", "2027-01-01T00:30"]),
        ("5/20 0 * * *", "2027-01-01T00:00", ["2027-01-01T00:05", "2027-01-01T00:25", "2027-01-01T00:45"]),
        ("*/20 0 0 * * *", "2027-01-01T00:00:05", ["2027-01-01T00:00:20", "2027-01-01T00:00:40"]),
        ("0 22-2/2 * * *", "2027-01-01T21:00", ["2027-01-01T22:00", "2027-01-02T00:00", "2027-01-02T02:00"]),
        ("0 0 1,15 * ?", "2027-01-02T00:00", ["2027-01-15T00:00", "2027-02-01T00:00"]),
        ("0 9 ? * mon-fri", "2027-01-01T09:00", ["2027-01-04T09:00", "2027-01-05T09:00"]),
        ("0 9 * * FRI-MON", "2027-01-01T09:00", ["2027-01-02T09:00", "2027-01-03T09:00", "2027-01-04T09:00"]),
        ("0 9 * * 7", "2027-01-01T00:00", ["2027-01-03T09:00"]),
        ("0 9 * * 1/2", "2027-01-01T00:00", ["2027-01-01T09:00", "2027-01-04T09:00", "2027-01-06T09:00"]),
        # Friday the 13th: both day fields have to match.
        ("0 0 13 * FRI", "2027-01-01T00:00", ["2027-08-13T00:00"]),
        ("0 0 L * *", "2027-01-31T00:00", ["2027-02-28T00:00", "2027-03-31T00:00"]),
        ("0 0 L 2 *", "2027-03-01T00:00", ["2028-02-29T00:00"]),
        ("0 0 L-2 * *", "2027-02-01T00:00", ["2027-02-26T00:00", "2027-03-29T00:00"]),
        ("0 0 L-29 * *", "2027-02-01T00:00", ["2027-03-02T00:00", "2027-04-01T00:00"]),
        # The 15th of May 2027 is a Saturday, the 1st of May too, the 31st of October a Sunday.
        ("0 0 15W 5 *", "2027-01-01T00:00", ["2027-05-14T00:00"]),
        ("0 0 1W 5 *", "2027-01-01T00:00", ["2027-05-03T00:00"]),
        ("0 0 31W 10 *", "2027-01-01T00:00", ["2027-10-29T00:00"]),
        ("0 0 LW 10 *", "2027-01-01T00:00", ["2027-10-29T00:00"]),
        ("0 0 29W 2 *", "2027-01-01T00:00", ["2028-02-29T00:00"]),
        ("0 0 * * 5L", "2027-01-01T00:00", ["2027-01-29T00:00", "2027-02-26T00:00"]),
        ("0 0 * * L", "2027-01-01T00:00", ["2027-01-02T00:00"]),
        ("0 0 * * MON#2", "2027-01-01T00:00", ["2027-01-11T00:00"]),
        ("0 0 * * 0#5", "2027-01-01T00:00", ["2027-01-31T00:00", "2027-05-30T00:00"]),
        ("0 0 29 2 *", "2027-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 29 2 *", "2096-03-01T00:00", ["2104-02-29T00:00"]),
        ("0 0 29 FEB MON", "2027-01-01T00:00", ["2044-02-29T00:00"]),
        ("0 0 1 JAN,JUL *", "2027-01-01T00:00", ["2027-07-01T00:00", "2028-01-01T00:00"]),
        ("59 59 23 31 12 *", "2027-12-31T23:59:59", ["2028-12-31T23:59:59"]),
    ],
)
def test_when_an_expression_is_due(cron: str, after: str, times: list[str]) -> None:
    """Each kind of field, and each special sign, in real months."""
    parsed, moment = parse_cron(cron), _at(after)
    for wanted in times:
        found = next_local(parsed, moment)
        assert found == _at(wanted)
        moment = found


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("", "this one has 0"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "this one has 7"),
        ("60 * * * *", "minute field of the cron expression: `60` is out of range; use 0-59"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day"),
        ("* * 32 * *", "day"),
        ("* * * 13 *", "month"),
        ("* * * FOO *", "use 1-12 or JAN-DEC"),
        ("* * * * 8", "weekday"),
        ("* * * * MON#6", "1 to 5"),
        ("* * * * #1", "weekday"),
        ("* * W * *", "day"),
        ("* * 40W * *", "day"),
        ("* * L-31 * *", "1 to 30"),
        ("*/0 * * * *", "step"),
        ("*/x * * * *", "step"),
        ("1,,2 * * * *", "minute"),
        ("-5 * * * *", "minute"),
        ("1-2-3 * * * *", "minute"),
        ("5L * * * *", "minute"),
        ("٣ * * * *", "minute"),
        ("0 0 30 2 *", "No such day ever comes"),
        ("0 0 31 4,6,9,11 *", "No such day ever comes"),
        ("0 0 8 * MON#1", "No such day ever comes"),
        ("0 0 1 1 " + "1," * 200, "at most"),
    ],
)
def test_what_is_refused(cron: str, says: str) -> None:
    """The error names the field and the item; days that never come are refused when a schedule is made."""
    with pytest.raises(InvalidSchedule) as caught:
        parse_cron(cron)
    assert says in caught.value.detail
    assert caught.value.fields["field"] == "when.cron"


_ITEMS = {
    "minute": ["*", "*/7", "0", "5,50", "58-3"],
    "hour": ["*", "*/5", "0", "23", "22-1"],
    "day": ["*", "?", "1", "L", "LW", "15W", "L-3", "29-31", "*/9"],
    "month": ["*", "2", "JAN-MAR", "*/5"],
    "weekday": ["*", "?", "MON", "5L", "TUE#1", "SAT-SUN", "0#5"],
}
_CRONS = st.tuples(*(st.sampled_from(items) for items in _ITEMS.values())).map(" ".join)
_MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 (a calendar without a zone)


@given(_CRONS, _MOMENTS)
@settings(deadline=None)
def test_the_next_time_is_the_first_that_matches(cron: str, after: datetime) -> None:
    """It comes later, its parts match, and no day between matches."""
    try:
        parsed = parse_cron(cron)
    except InvalidSchedule:
        return
    found = next_local(parsed, after)
    assert found is not None
    assert found > after
    assert _matches(cron, found)
    # No minute before it matches, for as far as is quick to try.
    minute = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(3000):
        if minute >= found:
            break
        assert not _matches(cron, minute), minute
        minute += timedelta(minutes=1)


def _matches(cron: str, moment: datetime) -> bool:
    parsed = parse_cron(cron)
    return (
        moment.minute in parsed.minutes
        and moment.hour in parsed.hours
        and moment.month in parsed.months
        and moment.day in days_of(parsed.days, moment.year, moment.month)
    )


@given(st.text(st.sampled_from("0123456789*?/,-LW#MONSUFRIJA \u0663é\n"), max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """Nothing but the error of a schedule comes out of reading one."""
    try:
        parse_cron(text)
    except InvalidSchedule as error:
        reason = error.detail
    else:
        return
    assert reason
