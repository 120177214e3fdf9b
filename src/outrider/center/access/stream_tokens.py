"""One-use tokens for the addresses of streams, where a browser can't set a header."""

import secrets
from collections import OrderedDict
from typing import Final

import msgspec

from outrider.domain.errors import Unauthenticated
from outrider.kit.clock import Clock

LIFETIME: Final = 30.0
_PREFIX: Final = "stream_"
_MAX: Final = 10_000
_BYTES: Final = 24


class StreamToken(msgspec.Struct, frozen=True):
    """A token as its asker gets it; `expires` is unix time."""

    token: str
    expires: float


class StreamTokens:
    """Hands out one-use tokens and takes each once, within thirty seconds.

    They live in this process only: a restart may forget what is so short-lived, and in memory exactly one of
    two concurrent uses wins. The oldest go when there are too many.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._open: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def make(self, parent: str) -> StreamToken:
        """Make a token for who came in with the token `parent`."""
        token = _PREFIX + secrets.token_urlsafe(_BYTES)
        self._open[token] = (self._clock.monotonic() + LIFETIME, parent)
        while len(self._open) > _MAX:
            self._open.popitem(last=False)
        return StreamToken(token, self._clock.time() + LIFETIME)

    def spend(self, token: str) -> str:
        """Use a token up; return the one it was made for. Raises Unauthenticated: unknown, used, too old."""
        until, parent = self._open.pop(token, (0.0, ""))
        if not parent or until <= self._clock.monotonic():
            raise Unauthenticated(
                "The stream token was used or is too old; ask POST /api/stream-token again."
            )
        return parent


def is_stream_token(token: str) -> bool:
    """Tell a stream's token from others by its beginning."""
    return token.startswith(_PREFIX)
