"""The room of dispatches: its parts wired."""

from collections.abc import Mapping

from outrider.center.commands.commands import Commands
from outrider.center.dispatches.follow import DispatchFollowing
from outrider.center.dispatches.runner import DispatchRunner
from outrider.center.dispatches.service import DispatchService
from outrider.center.dispatches.writes import AdvanceDispatches, CreateDispatches, HoldAgain, Release
from outrider.center.fleet.presence import Presence
from outrider.center.fleet.targets import resolve
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.ids import AgentId
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks


class Dispatches:
    """What makes one command many, and moves them on; `runner` is a service."""

    def __init__(
        self, store: Store, commands: Commands, presence: Presence, clock: Clock, tasks: Tasks
    ) -> None:
        """Wire the parts; `tasks` owns what wakes hosts."""
        self._delivery = commands.delivery
        self._presence = presence
        self._tasks = tasks
        release = Release(
            presence.takes_orders, presence.counts_as_there, commands.delivery.send_all, self._wake
        )
        self.service = DispatchService(
            store,
            CreateDispatches(release),
            commands.service,
            commands.delivery,
            self._resolve,
            clock,
            heard_since=presence.heard_since,
        )
        self.runner = DispatchRunner(
            store,
            AdvanceDispatches(release),
            HoldAgain(release),
            clock,
            heard_since=presence.heard_since,
        )
        self.following = DispatchFollowing(
            store, self.service, self.runner, commands.feed, commands.outputs, clock
        )

    @property
    def handed(self) -> Mapping[str, object]:
        """What handlers are given, by their parameter's name."""
        return {"dispatches": self.service, "dispatch_following": self.following}

    def _wake(self, agent_id: AgentId) -> None:
        self._tasks.spawn(f"wake {agent_id}", self._delivery.wake(agent_id))

    async def _resolve(self, conn: Connection, target: str) -> list[AgentId]:
        return await resolve(conn, target, heard_since=self._presence.heard_since())
