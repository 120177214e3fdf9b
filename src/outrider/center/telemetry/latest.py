"""The newest snapshot of each host, in memory: what the detail of an agent shows."""

from typing import Any, NamedTuple

import msgspec

from outrider.domain.ids import AgentId
from outrider.domain.telemetry.snapshot import Snapshot
from outrider.kit import logs
from outrider.kit.clock import Clock

log = logs.get(__name__)

_decoder = msgspec.msgpack.Decoder(Snapshot)


class _Kept(NamedTuple):
    came: float
    snapshot: bytes | Snapshot


class LatestSnapshots:
    """Keeps one snapshot a host, as it came: about 700 bytes. It is read when somebody looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[AgentId, _Kept] = {}

    def put(self, agent_id: AgentId, snapshot: bytes | Snapshot) -> None:
        """Keep a snapshot, packed or not."""
        self._kept[agent_id] = _Kept(self._clock.monotonic(), snapshot)

    def forget(self, agent_id: AgentId) -> None:
        """Let go of a host."""
        self._kept.pop(agent_id, None)

    def of(self, agent_id: AgentId) -> tuple[dict[str, Any], float] | None:
        """Return a host's newest snapshot as JSON's types and the seconds since it came; None without one."""
        kept = self._kept.get(agent_id)
        if kept is None:
            return None
        snapshot = kept.snapshot
        if isinstance(snapshot, bytes):
            try:
                snapshot = _decoder.decode(snapshot)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                log.info("a snapshot can't be read", agent_id=agent_id, reason=str(error))
                del self._kept[agent_id]
                return None
        return msgspec.to_builtins(snapshot), self._clock.monotonic() - kept.came
