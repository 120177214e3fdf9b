"""One-use tokens for the addresses of streams, where a browser can't set a header."""

from typing import Final

import msgspec

from outrider.center.access.one_use import OneUse
from outrider.domain.errors import Unauthenticated
from outrider.kit.clock import Clock

LIFETIME: Final = 30.0
_PREFIX: Final = "stream_"
_ROOM: Final = 10_000


class StreamToken(msgspec.Struct, frozen=True):
    """A token as its asker gets it; `expires` is unix time."""

    token: str
    expires: float


class _Made(msgspec.Struct, frozen=True):
    parent: str
    path: str | None


class StreamTokens:
    """Hands out one-use tokens and takes each once, within thirty seconds."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._made: OneUse[_Made] = OneUse(clock, lifetime=LIFETIME, room=_ROOM)

    def make(self, parent: str, path: str | None = None) -> StreamToken:
        """Make a token for who came in with the token `parent`: for the stream at `path`, or for any."""
        return StreamToken(_PREFIX + self._made.put(_Made(parent, path)), self._clock.time() + LIFETIME)

    def spend(self, token: str, path: str) -> str:
        """Use a token up on the stream at `path`; return the one it was made for.

        Raises Unauthenticated: unknown, used, too old, or made for another stream.
        """
        made = self._made.take(token.removeprefix(_PREFIX))
        if made is None:
            raise Unauthenticated(
                "The stream token was used or is too old; ask POST /api/stream-token again."
            )
        if made.path not in (None, path):
            raise Unauthenticated("The stream token was made for another stream.")
        return made.parent


def is_stream_token(token: str) -> bool:
    """Tell a stream's token from others by its beginning."""
    return token.startswith(_PREFIX)
