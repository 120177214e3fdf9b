"""What is said on a stream of kind `metrics`: a host's readings as they come, or those of the last hour.

The request is one of the two; the agent answers `WatchReadings` with a `Snapshot` at once and one every five
seconds until it is left, and `AskReadings` with `PastReadings` in order of time, then ends.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

KIND: Final = "metrics"
READINGS_AT_ONCE: Final = 60
"""The most readings in one `PastReadings`, so that it stays a short message."""


class WatchReadings(msgspec.Struct, frozen=True, kw_only=True, tag="watch", tag_field="t"):
    """Say each reading as it is made, with the top processes."""


class AskReadings(msgspec.Struct, frozen=True, kw_only=True, tag="ask", tag_field="t"):
    """Say the readings of [since, until) that are kept; unix seconds by the center's clock."""

    since: float
    until: float


MetricsRequest = WatchReadings | AskReadings


class PastReading(msgspec.Struct, frozen=True, array_like=True):
    """One reading of the past: its time, and its series packed (domain.telemetry.series)."""

    time: float
    data: Annotated[bytes, Meta(max_length=16 * 1024)]


class PastReadings(msgspec.Struct, frozen=True, kw_only=True):
    """Some readings of the past, oldest first."""

    readings: Annotated[tuple[PastReading, ...], Meta(max_length=READINGS_AT_ONCE)]
