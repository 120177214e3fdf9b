"""A kind of stream whose engine is loaded when one is asked for: most hosts are idle most of the time."""

import asyncio
from collections.abc import Callable

import msgspec

from outrider.agent.host_streams import StreamKind
from outrider.protocol.open_stream import OpenStream


class LateStream:
    """Stands for the kind that `load` makes, from the first stream on."""

    def __init__(self, load: Callable[[], StreamKind], *, ability: str, window: int) -> None:
        """`load` blocks; `ability` and `window` are those of the kind."""
        self.ability = ability
        self.window = window
        self._load = load
        self._kind: StreamKind | None = None

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Serve one stream. Raises what the kind raises."""
        if self._kind is None:
            self._kind = await asyncio.to_thread(self._load)
        await self._kind.serve(request, stream)
