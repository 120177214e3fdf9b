"""Callers that were recognised a moment ago, so that a request costs a look into memory."""

from collections import OrderedDict
from typing import Final

from outrider.center.http.callers import Caller
from outrider.kit.clock import Clock

_FOR_SECONDS: Final = 5.0
"""What another replica has changed is noticed within this time."""
_SIZE: Final = 4096


class KnownCallers:
    """Remembers callers by the hash of what they showed, for seconds, and forgets who is changed at once."""

    def __init__(self, clock: Clock) -> None:
        """Begin with nobody."""
        self._clock = clock
        self._callers: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._forgotten = 0

    @property
    def forgotten(self) -> int:
        """How often anybody was forgotten: what was read before the newest time may be stale."""
        return self._forgotten

    def find(self, digest: bytes) -> Caller | None:
        """Return who showed this, if that was a moment ago and still counts."""
        known = self._callers.get(digest)
        if known is None:
            return None
        until, caller = known
        if self._clock.monotonic() < until and self._clock.time() < caller.expires:
            return caller
        del self._callers[digest]
        return None

    def remember(self, digest: bytes, caller: Caller, *, read_at: int) -> None:
        """Remember a caller, unless somebody was forgotten since `read_at`, when the database was asked."""
        if read_at != self._forgotten:
            return
        self._callers[digest] = (self._clock.monotonic() + _FOR_SECONDS, caller)
        self._callers.move_to_end(digest)
        while len(self._callers) > _SIZE:
            self._callers.popitem(last=False)

    def forget_user(self, user_id: str) -> None:
        """Forget all that a user has shown."""
        self._forget([digest for digest, (_, caller) in self._callers.items() if caller.user_id == user_id])

    def forget_via(self, id_: str) -> None:
        """Forget who came in with this session or API token."""
        self._forget([digest for digest, (_, caller) in self._callers.items() if caller.via == id_])

    def _forget(self, digests: list[bytes]) -> None:
        self._forgotten += 1
        for digest in digests:
            del self._callers[digest]
