"""Looking at hosts: asked of their agents on a stream, answered, and forgotten."""

from typing import Any, Final, TypeVar

import msgspec

from outrider.center.link.host_streams import HostStreams
from outrider.domain.command_types import parse_params
from outrider.domain.errors import HostFault, LinkFault, StreamLost
from outrider.domain.ids import AgentId
from outrider.domain.looks import MAX_LOOK, ProcessTable, ServiceTable
from outrider.kit.clock import Clock
from outrider.protocol.look_stream import Look
from outrider.protocol.open_stream import OpenStream

T = TypeVar("T")

ANSWERS_WITHIN: Final = 40.0
"""Seconds from the question to the end of its answer; the host gives up after 30."""
WINDOW: Final = 1024 * 1024
"""Bytes of an answer that may be on their way: a large one takes few turns."""


class LookService:
    """Asks hosts how they are. Nothing of it is kept: no command, no entry, no table."""

    def __init__(self, host_streams: HostStreams, clock: Clock) -> None:
        """Take the parts."""
        self._host_streams = host_streams
        self._clock = clock

    async def processes(self, agent_id: AgentId, **params: Any) -> ProcessTable:
        """Ask what runs there. `params` are those of the command type; None are left out.

        Raises BadParams, what `HostStreams.open` raises, what the host says, HostFault for an answer that is
        none.
        """
        return await self._ask(agent_id, "processes", params, ProcessTable)

    async def services(self, agent_id: AgentId, **params: Any) -> ServiceTable:
        """Ask for its services. As `processes`."""
        return await self._ask(agent_id, "services", params, ServiceTable)

    async def _ask(self, agent_id: AgentId, kind: str, params: dict[str, Any], table: type[T]) -> T:
        wanted = {name: value for name, value in params.items() if value is not None}
        _ = parse_params(kind, wanted)
        try:
            body = await self._clock.wait_for(self._answer(agent_id, kind, wanted), ANSWERS_WITHIN)
        except TimeoutError:
            raise StreamLost("The host did not answer in time; try again.") from None
        try:
            return msgspec.json.decode(body, type=table)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise HostFault(f"The host's answer can't be read: {error}.") from None

    async def _answer(self, agent_id: AgentId, kind: str, params: dict[str, Any]) -> bytes:
        async with self._host_streams.open(agent_id, kind, Look(params=params), window=WINDOW) as stream:
            try:
                return await _read_all(stream)
            except LinkFault as fault:
                raise HostFault(fault.detail) from fault


async def _read_all(stream: OpenStream) -> bytes:
    """Read an answer. Raises HostFault when it is longer than one may be."""
    body = bytearray()
    while (piece := await stream.read()) is not None:
        body += piece
        if len(body) > MAX_LOOK:
            raise HostFault("The host's answer is longer than an answer may be.")
    return bytes(body)
