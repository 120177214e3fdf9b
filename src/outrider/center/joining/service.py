"""What the room of joining does: the install script for a key, and the lines that fetch it."""

import asyncio
import re
from typing import Final

from outrider.bootstrap.program import program
from outrider.center.fleet.service import FleetService
from outrider.center.joining.outward import Outward
from outrider.center.joining.script import InstallSettings, install_script
from outrider.domain.enrolment import is_agent_key
from outrider.domain.errors import Invalid, Throttled, Unauthenticated
from outrider.kit.clock import Clock
from outrider.kit.ratelimit import KeyedLimiter

_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9._:\[\]-]{1,255}", re.ASCII)


class Joining:
    """Writes install scripts."""

    def __init__(self, fleet: FleetService, outward: Outward, clock: Clock) -> None:
        """Take the parts; `outward` knows how hosts see this center."""
        self._fleet = fleet
        self._outward = outward
        self._failures: KeyedLimiter[str] = KeyedLimiter(0.2, 20, clock, max_keys=10_000)
        self._program: bytes | None = None

    async def script(self, key: str, *, asked: str, address: str) -> bytes:
        """Write the script for a key that a host at `address` shows, which has reached us at `asked`.

        An enrolment key lets a new host join, and a host that has joined with it come back; an agent key puts
        that agent back on its host. Raises `Unauthenticated` for any other, `Throttled` after many of them,
        `Invalid` for an address that is none.
        """
        wait = self._failures.retry_after(address)
        if wait > 0:
            raise Throttled(f"Too many dead keys from here; try again in {wait:.0f} s.", retry_after=wait)
        if not _ADDRESS.fullmatch(asked):
            # It becomes part of a script.
            raise Invalid("The Host header is no address of a center.")
        try:
            settings = await self._settings(key.strip(), self._outward.of_a_host(asked), address)
        except Unauthenticated:
            self._failures.try_take(address)
            raise
        if self._program is None:
            self._program = await asyncio.to_thread(program)
        return await asyncio.to_thread(install_script, self._program, settings)

    async def _settings(self, key: str, url: str, address: str) -> InstallSettings:
        ca_pem = self._outward.trusted_by(url)
        if not key:
            raise Unauthenticated("Show an enrolment key or an agent key: ?key=oek_...")
        if is_agent_key(key):
            agent = await self._fleet.owner_of(key)
            return InstallSettings(
                center_url=url, ca_pem=ca_pem, agent_key=key, agent_id=agent.id, label=agent.label
            )
        if not await self._fleet.has_joined_with(key, address=address):
            await self._fleet.vouch(key)
        return InstallSettings(center_url=url, ca_pem=ca_pem, enrolment_key=key)
