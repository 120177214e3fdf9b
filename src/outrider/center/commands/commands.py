"""The room of commands: its parts wired."""

from collections.abc import Mapping, Sequence

from outrider.center.blobs.contract import Blobs
from outrider.center.commands.accept import AcceptCommands
from outrider.center.commands.delivery import Delivery
from outrider.center.commands.expiry import Expiry, Resending
from outrider.center.commands.feed import Feed
from outrider.center.commands.follow import Following
from outrider.center.commands.output_stream import OutputSink
from outrider.center.commands.outputs import Archive, Outputs
from outrider.center.commands.polling import PollingService
from outrider.center.commands.reports import TakeReports
from outrider.center.commands.service import CommandService
from outrider.center.commands.steps import LOSE_HOSTS, LostHost
from outrider.center.fleet.link_writes import Departure
from outrider.center.fleet.presence import Presence
from outrider.center.groups.telling import Telling
from outrider.center.link.hub import Hub
from outrider.center.microservices.telling import ConfigTelling
from outrider.center.store.engine import Store
from outrider.domain.ids import AgentId, CommandId
from outrider.kit.clock import Clock
from outrider.kit.supervise import Service
from outrider.protocol.messages import Watch


class Commands:
    """What brings commands to hosts, takes in what they say of them, and shows both."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        presence: Presence,
        blobs: Blobs,
        telling: Telling,
        config_telling: ConfigTelling,
        clock: Clock,
    ) -> None:
        """Wire the parts; hosts that fall silent lose their commands from now on."""
        self._store = store
        self._hub = hub
        self.delivery = Delivery(store, hub)
        self.feed = Feed(self._watch)
        self.outputs = Outputs(store, blobs)
        self.archive = Archive(store, blobs, clock)
        self.reports = TakeReports(self.feed, self.archive.wake)
        self.output_sink = OutputSink(store, self.reports, self.feed)
        self.service = CommandService(
            store,
            self.delivery,
            self.feed,
            self.outputs,
            AcceptCommands(presence.takes_orders, self.delivery.send),
            clock,
        )
        self.following = Following(store, self.service, self.feed, self.outputs, clock)
        self.polling = PollingService(
            store, presence, hub, self.delivery, self.reports, telling, config_telling, clock
        )
        self.services: tuple[Service, ...] = (
            Expiry(store, self.feed, clock),
            Resending(self.delivery, clock),
            self.archive,
        )
        presence.on_silent = self._lose

    @property
    def handed(self) -> Mapping[str, object]:
        """What handlers are given, by their parameter's name."""
        return {"commands": self.service, "following": self.following, "polling": self.polling}

    def _watch(self, agent_id: AgentId, command_id: CommandId, *, on: bool) -> None:
        self._hub.post(agent_id, (Watch(id=command_id, on=on),))

    async def _lose(self, departures: Sequence[Departure]) -> None:
        lost = [LostHost(agent_id=each.agent_id, fence=each.fence) for each in departures]
        answers = await self._store.writer.submit_many(LOSE_HOSTS, lost)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
