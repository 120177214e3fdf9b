"""The stream of this host's readings: as they come, or those of the last hour."""

from typing import Final

import msgspec

from outrider.agent.telemetry.sampler import Sampler
from outrider.domain.errors import LinkFault
from outrider.protocol.metrics_stream import (
    KIND,
    READINGS_AT_ONCE,
    AskReadings,
    MetricsRequest,
    PastReading,
    PastReadings,
    WatchReadings,
)
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW

_BYTES_AT_ONCE: Final = 64 * 1024


class MetricsStream:
    """Serves streams of kind `metrics`."""

    ability = KIND
    window = WINDOW

    def __init__(self, sampler: Sampler) -> None:
        """All streams read what one sampler reads."""
        self._sampler = sampler

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Answer a request. Raises `LinkFault` for one that is no request of this kind."""
        try:
            wanted: MetricsRequest = msgspec.msgpack.decode(request, type=MetricsRequest)
        except msgspec.DecodeError as error:
            raise LinkFault(f"A request for metrics does not fit: {error}.") from None
        match wanted:
            case WatchReadings():
                await self._watch(stream)
            case AskReadings(since=since, until=until):
                await self._tell(stream, since, until)

    async def _watch(self, stream: OpenStream) -> None:
        with self._sampler.watch() as watching:
            first = await self._sampler.now()
            if first is not None:
                await stream.say(first)
            while True:
                # Waits while the center does not read: what it is too slow for is skipped here.
                await stream.say(await watching.next())

    async def _tell(self, stream: OpenStream, since: float, until: float) -> None:
        part: list[PastReading] = []
        size = 0
        for time, packed in self._sampler.kept(since, until):
            if len(part) == READINGS_AT_ONCE or (part and size + len(packed) > _BYTES_AT_ONCE):
                await stream.say(PastReadings(readings=tuple(part)))
                part, size = [], 0
            part.append(PastReading(time, packed))
            size += len(packed)
        if part:
            await stream.say(PastReadings(readings=tuple(part)))
