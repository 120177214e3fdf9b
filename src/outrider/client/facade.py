"""The same center for programs without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from outrider.client.center import AsyncCenter
from outrider.client.waiting.access import WaitingAccess
from outrider.client.waiting.alerts import WaitingAlerts
from outrider.client.waiting.audit import WaitingAudit
from outrider.client.waiting.bundles import WaitingBundles
from outrider.client.waiting.changes import WaitingChanges
from outrider.client.waiting.commands import WaitingCommands
from outrider.client.waiting.deployments import WaitingDeployments
from outrider.client.waiting.dials import WaitingDials
from outrider.client.waiting.dispatches import WaitingDispatches
from outrider.client.waiting.files import WaitingFiles
from outrider.client.waiting.fleet import WaitingFleet
from outrider.client.waiting.groups import WaitingGroups
from outrider.client.waiting.logs import WaitingLogs
from outrider.client.waiting.looks import WaitingLooks
from outrider.client.waiting.microservices import WaitingMicroservices
from outrider.client.waiting.schedules import WaitingSchedules
from outrider.client.waiting.settings import WaitingSettings
from outrider.client.waiting.telemetry import WaitingTelemetry
from outrider.client.waiting.terminals import WaitingTerminals

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from outrider.client.answers import Session
    from outrider.client.trust import Authority


class Center(
    WaitingAccess,
    WaitingFleet,
    WaitingGroups,
    WaitingMicroservices,
    WaitingCommands,
    WaitingDeployments,
    WaitingDials,
    WaitingDispatches,
    WaitingSchedules,
    WaitingAlerts,
    WaitingLogs,
    WaitingLooks,
    WaitingFiles,
    WaitingTelemetry,
    WaitingTerminals,
    WaitingAudit,
    WaitingBundles,
    WaitingSettings,
    WaitingChanges,
):
    """One control center, each call waiting for its answer.

        with Center("http://127.0.0.1:8080", token=token) as center:
            print(center.run(agent_id, "shell", {"command": "uptime"}).stdout)

    It runs an AsyncCenter on an event loop in a thread of its own; several threads may share it. The methods
    promise and raise what AsyncCenter's do.
    """

    def __init__(
        self, url: str, *, token: str | None = None, authority: str | None = None, allow_plain: bool = False
    ) -> None:
        """Name a center; see AsyncCenter."""
        super().__init__(AsyncCenter(url, token=token, authority=authority, allow_plain=allow_plain))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def offered_authorities(self) -> list[Authority]:
        """Ask the center for its certificate authorities, verifying nothing: show their pins to a person."""
        return self._wait(self._center.offered_authorities())

    def trust_pins(self, pins: Collection[str]) -> None:
        """Trust from now on the center's authorities that have one of these pins, and nothing else."""
        self._wait(self._center.trust_pins(pins))

    def session(self) -> Session:
        """Who we are, and which center this is."""
        return self._wait(self._center.session())

    def is_trusted(self) -> bool:
        """Tell whether the center's certificate is verified under the authority we trust."""
        return self._wait(self._center.is_trusted())
