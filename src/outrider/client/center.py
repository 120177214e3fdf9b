"""The center's API as typed methods, for programs that run on an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from outrider.client import trust
from outrider.client.access import Access
from outrider.client.address import check_url
from outrider.client.alerts import Alerts
from outrider.client.answers import Session
from outrider.client.audit import Audit
from outrider.client.bundles import Bundles
from outrider.client.changes import Changes
from outrider.client.commands import Commands
from outrider.client.deployments import Deployments
from outrider.client.dials import Dials
from outrider.client.dispatches import Dispatches
from outrider.client.faults import WrongCertificate
from outrider.client.files import Files
from outrider.client.fleet import Fleet
from outrider.client.groups import Groups
from outrider.client.logs import Logs
from outrider.client.looks import Looks
from outrider.client.microservices import Microservices
from outrider.client.schedules import Schedules
from outrider.client.settings import Settings
from outrider.client.telemetry import Telemetry
from outrider.client.terminals import Terminals
from outrider.client.transport import Transport
from outrider.domain.errors import OutriderError
from outrider.kit.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType


class AsyncCenter(
    Access,
    Fleet,
    Groups,
    Microservices,
    Commands,
    Deployments,
    Dials,
    Dispatches,
    Schedules,
    Alerts,
    Logs,
    Looks,
    Files,
    Telemetry,
    Terminals,
    Audit,
    Bundles,
    Settings,
    Changes,
):
    """One control center.

        async with AsyncCenter("http://127.0.0.1:8080", token=token) as center:
            for agent in await center.agents(tag="web"):
                await center.send(agent.id, "shell", {"command": "uptime"})

    Every method raises what the center raised, as the error of `outrider.domain.errors` with its code, or
    CenterAway, WrongCertificate or StrangeAnswer. What can be repeated without harm is tried again when the
    center can't be reached; the rest is asked for once.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        authority: str | None = None,
        allow_plain: bool = False,
        clock: Clock | None = None,
        slow: Callable[[str, float], None] | None = None,
    ) -> None:
        """Name a center; nothing is asked of it yet.

        `authority` is the PEM text of the certificate authority to trust for https (None: the system's).
        `slow` is told the address when an answer takes longer than the seconds given with it.
        Plain http is taken for this machine's own addresses; for others only with `allow_plain`. Raises
        Invalid for an address or a PEM text that can't be used.
        """
        self._url = check_url(url, allow_plain=allow_plain)
        self._authority = authority
        self._clock = clock or SystemClock()
        self._token = token
        self._slow = slow
        self._opened: Transport | None = None

    async def __aenter__(self) -> Self:
        self._transport()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The center may be used again afterwards."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def _transport(self) -> Transport:
        if self._opened is None:
            self._opened = Transport(self._url, authority=self._authority, clock=self._clock, slow=self._slow)
            self._opened.token = self._token
        return self._opened

    async def _pause(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    @property
    def url(self) -> str:
        """The center's address."""
        return str(self._url)

    @property
    def token(self) -> str | None:
        """The token that requests carry."""
        return self._token

    @property
    def authority(self) -> str | None:
        """The PEM text of the authority that is trusted; None for the system's."""
        return self._authority

    async def offered_authorities(self) -> list[trust.Authority]:
        """Ask the center for its certificate authorities, verifying nothing: show their pins to a person."""
        return await self._transport().offered_authorities()

    async def trust_pins(self, pins: Collection[str]) -> None:
        """Trust from now on the center's authorities that have one of these pins, and nothing else.

        Raises WrongCertificate when it offers none of them.
        """
        offered = await self.offered_authorities()
        pem = trust.pinned(offered, pins)
        if not pem:
            seen = [authority.pin for authority in offered]
            shown = " ".join(seen) or "no authority of its own"
            raise WrongCertificate(
                f"{self.url} is not the center with the pin {' '.join(pins)}: it shows {shown}. Compare with "
                "the pin that the center itself prints; if they differ, somebody is between you and it.",
                url=self.url,
                reason="pin",
                pinned=list(pins),
                seen=seen,
            )
        await self.close()
        self._authority = pem

    async def session(self) -> Session:
        """Who we are, and which center this is."""
        return await self._transport().ask("GET", "/api/session", Session, repeatable=True)

    async def is_trusted(self) -> bool:
        """Tell whether the center's certificate is verified under the authority we trust.

        Raises CenterAway, and nothing for what the center answers: only the connection counts.
        """
        try:
            await self._transport().fetch("GET", "/healthz", repeatable=True)
        except WrongCertificate:
            return False
        except OutriderError as error:
            if error.code == "center_away":
                raise
        return True
