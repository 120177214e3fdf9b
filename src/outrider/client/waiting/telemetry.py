"""The methods of `outrider.client.telemetry`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.asking import STREAM_PATIENCE
from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outrider.client.telemetry import MetricsHistory, MetricsStep


class WaitingTelemetry(Waiting):
    """The methods of Telemetry in `outrider.client.telemetry`; they promise and raise the same."""

    def metrics(
        self,
        agent_id: str,
        *,
        start: float | None = None,
        end: float | None = None,
        step: int | None = None,
    ) -> MetricsHistory:
        """A host's figures between two unix times: the last hour unless told otherwise."""
        return self._wait(self._center.metrics(agent_id, start=start, end=end, step=step))

    def watch_metrics(
        self,
        agent_id: str,
        *,
        after: str = "",
        wait: bool = False,
        patience: float | None = STREAM_PATIENCE,
    ) -> Iterator[MetricsStep]:
        """A host's figures as they are read: a snapshot at once, then every five seconds."""
        return self._each(self._center.watch_metrics(agent_id, after=after, wait=wait, patience=patience))
