"""Large output comes on streams of its own: kind `output`, about one command."""

from outrider.center.commands import rows
from outrider.center.commands.feed import Feed, Piece
from outrider.center.commands.reports import Report, TakeReports
from outrider.center.store.engine import Store
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, CommandId
from outrider.protocol.messages import Output, OutputConfirmed
from outrider.protocol.streams import Data


class OutputSink:
    """Takes output streams in."""

    def __init__(self, store: Store, reports: TakeReports, feed: Feed) -> None:
        """Take where output is kept and who reads along."""
        self._store = store
        self._reports = reports
        self._feed = feed

    async def check(self, agent_id: AgentId, ref: str) -> None:
        """Raise `NotFound` when the command is not this agent's."""
        async with self._store.read() as conn:
            if await rows.command(conn, agent_id, CommandId(ref)) is None:
                raise NotFound("There is no such command of this agent.")

    async def take(self, agent_id: AgentId, ref: str, data: Data) -> int:
        """Keep a piece, or pass it to who reads along now."""
        command_id = CommandId(ref)
        if not data.kept:
            self._feed.live(agent_id, command_id, Piece(data.channel, data.offset, data.data, kept=False))
            return data.offset + len(data.data)
        output = Output(id=command_id, channel=data.channel, offset=data.offset, data=data.data)
        answers = await self._store.writer.submit(
            self._reports, Report(agent_id=agent_id, messages=(output,))
        )
        return next((answer.offset for answer in answers if isinstance(answer, OutputConfirmed)), data.offset)
