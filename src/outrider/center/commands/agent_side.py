"""What the rooms do with a link: the door, the greeting, reports and departures, put together."""

from collections.abc import Iterable, Sequence

import msgspec

from outrider.center.commands.delivery import Delivery
from outrider.center.commands.feed import Feed, Piece
from outrider.center.commands.reports import Report, TakeReports
from outrider.center.fleet.link_writes import NOTE_FACTS, Arrived, SaidFacts
from outrider.center.fleet.presence import Presence
from outrider.center.fleet.tag_writes import TAKE_TAGS, SaidTags
from outrider.center.groups.telling import Telling
from outrider.center.link.open_link import OpenLink
from outrider.center.microservices.telling import ConfigTelling
from outrider.center.store.engine import Store
from outrider.center.telemetry.intake import MinuteIntake
from outrider.domain.ids import AgentId, CommandId
from outrider.kit import logs
from outrider.protocol.messages import (
    ConfigsHeld,
    FactsChanged,
    FromAgent,
    FromCenter,
    Heartbeat,
    Hello,
    Minutes,
    Output,
    ResultsConfirmed,
    TagsSet,
    Watch,
    Welcome,
)

log = logs.get(__name__)


class AgentSide:
    """Serves the link endpoint (`link.endpoint.AgentRooms`)."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        delivery: Delivery,
        reports: TakeReports,
        feed: Feed,
        minutes: MinuteIntake,
        telling: Telling,
        config_telling: ConfigTelling,
    ) -> None:
        """Take the rooms' parts."""
        self._store = store
        self._presence = presence
        self._delivery = delivery
        self._reports = reports
        self._feed = feed
        self._minutes = minutes
        self._telling = telling
        self._config_telling = config_telling
        self._arrived: dict[OpenLink, Arrived] = {}

    async def admit(self, agent_id: str, key: str) -> AgentId:
        """Check an agent's key."""
        return await self._presence.admit(agent_id, key)

    async def greet(self, link: OpenLink, hello: Hello) -> Welcome:
        """Decide about a link."""
        welcome, arrived = await self._presence.greet(link, hello)
        self._arrived[link] = arrived
        return welcome

    async def opened(self, link: OpenLink, hello: Hello) -> None:
        """Deliver what waits, and ask again for what is being watched."""
        self._telling.soon([link.agent_id])
        given = await self._delivery.opened(link, hello, self._arrived.pop(link))
        there = dict.fromkeys((*hello.held, *given))
        if not link.paused:
            await link.say(self._watches(there))

    async def take(self, link: OpenLink, messages: Sequence[FromAgent]) -> None:
        """Store what an agent says, then confirm it."""
        stored: list[FromAgent] = []
        for message in messages:
            if isinstance(message, FactsChanged):
                await self._store.writer.submit(
                    NOTE_FACTS, SaidFacts(agent_id=link.agent_id, facts=message.facts)
                )
            elif isinstance(message, Heartbeat):
                await self._turned(link, paused=message.paused)
            elif isinstance(message, TagsSet):
                await self._take_tags(link.agent_id, message)
            elif isinstance(message, ConfigsHeld):
                self._config_telling.asked(link.agent_id, message)
            elif isinstance(message, Minutes):
                self._minutes.take(link.agent_id, message)
            elif isinstance(message, Output) and not message.kept:
                piece = Piece(message.channel, message.offset, message.data, kept=False)
                self._feed.live(link.agent_id, message.id, piece)
            else:
                stored.append(message)
        if stored:
            report = Report(agent_id=link.agent_id, messages=stored)
            answers = await self._store.writer.submit(self._reports, report)
            await link.say([self._dated(answer) for answer in answers])

    async def _turned(self, link: OpenLink, *, paused: bool) -> None:
        """Take in that a host was paused, or goes on: then it gets what has waited."""
        log.info("agent paused" if paused else "agent resumed", agent_id=link.agent_id)
        if not paused:
            await link.say(self._watches(await self._delivery.resumed(link.agent_id)))

    def _watches(self, ids: Iterable[CommandId]) -> list[Watch]:
        return [Watch(id=i, on=True) for i in ids if self._feed.is_followed(i)]

    async def _take_tags(self, agent_id: AgentId, message: TagsSet) -> None:
        await self._store.writer.submit(TAKE_TAGS, SaidTags(agent_id=agent_id, writes=message.writes))
        self._telling.took(agent_id, max((write.number for write in message.writes), default=0))

    def _dated(self, answer: FromCenter) -> FromCenter:
        """Add to a confirmation how far the center is, so that a database put back to before shows as old."""
        if isinstance(answer, ResultsConfirmed):
            return msgspec.structs.replace(answer, seen=self._presence.seen())
        return answer

    async def left(self, link: OpenLink) -> None:
        """Note that a link is gone."""
        self._arrived.pop(link, None)
        self._presence.left(link)
