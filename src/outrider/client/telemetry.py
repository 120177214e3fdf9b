"""A host's figures: as they come, and over time."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.answers import Reconnecting
from outrider.client.asking import STREAM_PATIENCE, Asking, given, part
from outrider.client.host_events import HostIsAway, host_events
from outrider.domain.errors import told
from outrider.domain.telemetry.history import Columns
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit.sse import SseEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class MetricsHistory(msgspec.Struct, frozen=True, kw_only=True):
    """A host's series from `start` to `end` (unix times), by steps of `step` seconds.

    `times` are the beginnings of the steps; each series has a value for each, None where nothing was read.
    `source` is `readings` or `minutes`; `note` says when that is coarser than was asked for.
    """

    agent_id: str = ""
    start: float = msgspec.field(name="from", default=0.0)
    end: float = msgspec.field(name="to", default=0.0)
    step: int = 60
    source: str = "minutes"
    note: str | None = None
    times: list[int] = []
    series: dict[str, Columns] = {}


class MetricsMissed(msgspec.Struct, frozen=True, kw_only=True):
    """Snapshots between these unix times were left out: somebody was too slow for them, or away."""

    since: float = msgspec.field(name="from")
    until: float = msgspec.field(name="to")


class MetricsAway(msgspec.Struct, frozen=True, kw_only=True):
    """The host is away; snapshots go on when it is back."""

    detail: str = ""


MetricsStep = Snapshot | MetricsMissed | MetricsAway | Reconnecting
"""What watching a host gives."""


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    detail: str


_KINDS: Final[dict[str, Any]] = {"metrics": Snapshot, "missed": MetricsMissed, "away": MetricsAway}
_LAST: Final = frozenset({"error", "gone"})


class Telemetry(Asking):
    """The methods about hosts' figures."""

    async def metrics(
        self,
        agent_id: str,
        *,
        start: float | None = None,
        end: float | None = None,
        step: int | None = None,
    ) -> MetricsHistory:
        """A host's figures between two unix times: the last hour, in steps that suit, unless told otherwise.

        Raises NotFound, and Invalid for more points than an answer has.
        """
        return await self._transport().ask(
            "GET",
            f"/api/agents/{part(agent_id)}/metrics",
            MetricsHistory,
            query=given({"from": start, "to": end, "step": step}),
            repeatable=True,
        )

    async def watch_metrics(
        self,
        agent_id: str,
        *,
        after: str = "",
        wait: bool = False,
        patience: float | None = STREAM_PATIENCE,
    ) -> AsyncGenerator[MetricsStep, None]:
        """A host's figures as they are read: a snapshot at once, then every five seconds.

        `after` is the time of the last snapshot that was seen, to be told what was missed. A host or a center
        that goes away is waited for. Raises HostAway when the host is away at first, unless told to `wait`;
        NotFound when the agent is not there (any more), Forbidden where the host's policy keeps its figures;
        CenterAway after `patience` seconds without a word (None: never). Leave with `contextlib.aclosing`.
        """
        where = f"/api/agents/{part(agent_id)}/stream/metrics"
        events = host_events(
            self._transport(), where, after=after, wait=wait, patience=patience, pause=self._pause
        )
        async with aclosing(events):
            async for event in events:
                match event:
                    case Reconnecting():
                        yield event
                    case HostIsAway(detail=detail):
                        yield MetricsAway(detail=detail)
                    case SseEvent():
                        if (step := self._telemetry_step(event, where)) is not None:
                            yield step

    def _telemetry_step(self, event: SseEvent, where: str) -> MetricsStep | None:
        """What an event says; None for one that only a newer center knows. Raises what an error says."""
        transport = self._transport()
        if event.event in _LAST:
            error = transport.decode(event.data, _Error, where)
            raise told(error.code, error.detail, {})
        kind = _KINDS.get(event.event)
        if kind is None:
            return None
        step: MetricsStep = transport.decode(event.data, kind, where)
        return step
