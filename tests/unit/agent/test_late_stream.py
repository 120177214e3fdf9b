"""A kind of stream that is loaded when one is asked for."""

import msgspec

from outrider.agent.streams.late import LateStream
from outrider.kit.clock import SystemClock
from outrider.protocol.open_stream import OpenStream


class _Kind:
    ability = "files"
    window = 7

    def __init__(self) -> None:
        self.served = 0

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        assert bytes(request) == b"asked"
        assert stream is not None
        self.served += 1


async def _nothing(_: bytes = b"") -> None:
    """Send or receive nothing."""


async def test_it_is_loaded_once_and_then_serves() -> None:
    """Nothing is loaded before the first stream; the second finds what the first has loaded."""
    made: list[_Kind] = []

    def load() -> _Kind:
        made.append(_Kind())
        return made[-1]

    late = LateStream(load, ability="files", window=7)
    assert (late.ability, late.window, made) == ("files", 7, [])
    stream = OpenStream(_nothing, _nothing, SystemClock())
    for _ in range(2):
        await late.serve(msgspec.Raw(b"asked"), stream)
    assert [kind.served for kind in made] == [2]
