"""A host's figures over time: the readings of the last hour from the host, else the minutes kept here."""

import asyncio
from typing import Final, Literal

import msgspec

from outrider.center.link.host_streams import HostStreams
from outrider.center.store.engine import Store
from outrider.center.telemetry.rows import minutes_between, require_agent
from outrider.domain.errors import Invalid, OutriderError, StreamLost
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.history import MAX_POINTS, Aggregation, Columns, usual_step
from outrider.domain.telemetry.minutes import MINUTE
from outrider.domain.telemetry.series import MalformedRow, unpack
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.protocol.metrics_stream import KIND, AskReadings, PastReadings

log = logs.get(__name__)

HOUR: Final = 3600.0
FINEST: Final = 5
"""Seconds between two readings, and so the finest step."""
_MINUTE: Final = int(MINUTE)
_ANSWERS_WITHIN: Final = 15.0
_AT_ONCE: Final = 200
"""Minutes that are read and unpacked before others have their turn."""
_SOME_LATE: Final = 30.0
_MAX_READINGS: Final = 1_000
"""An hour has 720; an agent that says more is cut off."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A host's series from `from` to `to`, by steps of `step` seconds; unix times.

    `times` are the beginnings of the steps; a series has a value for each, null where nothing was read.
    `source` says what they are made of: `readings` (every 5 s, the host's own) or `minutes`. `note` says when
    that is coarser than was asked for, and why.
    """

    agent_id: str
    start: float = msgspec.field(name="from")
    end: float = msgspec.field(name="to")
    step: int
    source: Literal["readings", "minutes"]
    note: str | None
    times: list[int]
    series: dict[str, Columns]


class MetricsHistory:
    """Answers for the past."""

    def __init__(self, store: Store, host_streams: HostStreams, clock: Clock, *, keep_seconds: float) -> None:
        """`keep_seconds` is how long minutes are kept."""
        self._store = store
        self._host_streams = host_streams
        self._clock = clock
        self._keep_seconds = keep_seconds

    async def of(self, agent_id: str, *, start: float | None, end: float | None, step: int | None) -> History:
        """Return a host's history; what is left out is the last hour, and a step that gives some 720 points.

        Raises `NotFound`, and `Invalid` for a span that ends before it begins or has too many steps.
        """
        known = AgentId(agent_id)
        async with self._store.read() as conn:
            await require_agent(conn, known)
        since, until = self._span(start, end)
        if step is not None and (until - since) / step > MAX_POINTS:
            least = int((until - since) // MAX_POINTS) + 1
            raise Invalid(
                f"That is more than {MAX_POINTS} points: ask for steps of {least} s or more.",
                field="step",
                least=least,
            )
        note: str | None = None
        fine = step or usual_step(until - since, FINEST)
        if fine < _MINUTE:
            if since >= self._clock.time() - HOUR - _SOME_LATE:
                found = Aggregation(since, until, fine)
                try:
                    await self._clock.wait_for(
                        self._add_readings(known, found, since, until), _ANSWERS_WITHIN
                    )
                    return _history(agent_id, since, until, fine, "readings", None, found)
                except (OutriderError, TimeoutError) as error:
                    why = error.detail if isinstance(error, OutriderError) else "It did not answer in time."
                    log.info("readings can't be had from a host", agent_id=agent_id, reason=why)
                    note = f"The host can't be asked for its readings: {why} These are minutes."
            elif step is not None:
                note = "Readings of every 5 s are kept for an hour only. These are minutes."
        coarse = max(step or usual_step(until - since, _MINUTE), _MINUTE)
        found = Aggregation(since, until, coarse)
        await self._add_minutes(known, found, since, until)
        return _history(agent_id, since, until, coarse, "minutes", note, found)

    def _span(self, start: float | None, end: float | None) -> tuple[float, float]:
        """Return the span that is meant, within what is kept."""
        now = self._clock.time()
        until = now if end is None else end
        since = until - HOUR if start is None else start
        if not since < until:
            raise Invalid("`from` must be before `to`.", field="from")
        until = min(until, now + MINUTE)
        return min(max(since, now - self._keep_seconds - MINUTE), until), until

    async def _add_readings(self, agent_id: AgentId, found: Aggregation, since: float, until: float) -> None:
        left = _MAX_READINGS
        request = AskReadings(since=since, until=until)
        async with self._host_streams.open(agent_id, KIND, request) as stream:
            while (part := await stream.hear(PastReadings)) is not None:
                for reading in part.readings:
                    _add(found, reading.time, reading.data)
                left -= len(part.readings)
                if left < 0:
                    raise StreamLost("It says more readings than an hour has.")

    async def _add_minutes(self, agent_id: AgentId, found: Aggregation, since: float, until: float) -> None:
        end = -int(-until // MINUTE)
        async with self._store.scan() as conn:
            for begin in range(int(since // MINUTE), end, _AT_ONCE):
                rows = await minutes_between(conn, agent_id, begin, min(begin + _AT_ONCE, end))
                for number, data in rows:
                    # A minute that begins before the span reaches into it.
                    _add(found, max(number * MINUTE, since), data)
                await asyncio.sleep(0)


def _add(found: Aggregation, time: float, data: bytes) -> None:
    try:
        found.add(time, unpack(data))
    except MalformedRow as error:
        log.warning("a packed row can't be read", reason=str(error))


def _history(
    agent_id: str,
    start: float,
    end: float,
    step: int,
    source: Literal["readings", "minutes"],
    note: str | None,
    found: Aggregation,
) -> History:
    return History(
        agent_id=agent_id,
        start=start,
        end=end,
        step=step,
        source=source,
        note=note,
        times=found.times,
        series=found.series(),
    )
