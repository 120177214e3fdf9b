"""The server's certificate while the center runs: it is shown anew before it ends, without a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from outrider.domain.errors import OutriderError
from outrider.kit import logs

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from outrider.center.security.authority import ServerCertificate
    from outrider.kit.clock import Clock
    from outrider.kit.supervise import Ready

EVERY: Final = 3_600.0
"""Seconds between two looks; also how soon a certificate is served that its owner has replaced."""

log = logs.get(__name__)


class CertificateRenewal:
    """Looks each hour whether another certificate is due, and serves it to connections from then on.

    `issue` gives the certificate of now: the center's own authority makes a new one when the last has less
    than 30 days left, files that the owner gave are read again. Open links keep theirs. A service.
    """

    name = "certificate renewal"

    def __init__(
        self,
        issue: Callable[[], ServerCertificate],
        context: ssl.SSLContext,
        served: ServerCertificate,
        clock: Clock,
    ) -> None:
        """Take the listener's context and the certificate that it serves."""
        self._issue = issue
        self._context = context
        self._served = served
        self._clock = clock

    def fresh_context(self) -> ssl.SSLContext:
        """Make a context of the caller's own that shows the certificate of now."""
        return self._served.server_context()

    async def serve(self, ready: Ready) -> None:
        """Keep the certificate fresh until stopped."""
        ready()
        while True:
            await self._clock.sleep(EVERY)
            await self.renew()

    async def renew(self) -> None:
        """Serve the certificate of now. What can't be read or used leaves the one that is served."""
        try:
            fresh = await asyncio.to_thread(self._issue)
            if (fresh.chain, fresh.key) == (self._served.chain, self._served.key):
                return
            fresh.load_into(self._context)
        except (OutriderError, OSError, ValueError) as error:
            log.warning(
                "the server's certificate could not be renewed",
                reason=str(error),
                served_until=self._served.not_after.isoformat(),
            )
            return
        self._served = fresh
        log.info("a new server certificate is served", until=fresh.not_after.isoformat())
