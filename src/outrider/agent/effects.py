"""What the configuration changes in the work for the center, at once and while it runs."""

import asyncio
import os
from typing import Final

from outrider.agent.center_door import CenterDoor, Way
from outrider.agent.configuration import Configuration
from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.agent.link import Link
from outrider.agent.membership import Membership
from outrider.agent.restart_required import RestartRequired
from outrider.domain.edge_config import (
    CERT_DIRECTORY,
    CONTROLLER_URL,
    CPU_LIMIT,
    DYNAMIC,
    MEMORY_LIMIT,
    NETWORK_ADAPTER,
    STATUS_FREQUENCY,
    Option,
)
from outrider.domain.errors import OutriderError
from outrider.engines.commands.cgroups import TaskCgroups
from outrider.engines.telemetry.cards import address_of
from outrider.kit import logs
from outrider.kit.supervise import Ready

log = logs.get(__name__)

_WAY: Final = frozenset({CERT_DIRECTORY.name, CONTROLLER_URL.name, NETWORK_ADAPTER.name})
_LIMITS: Final = frozenset({CPU_LIMIT.name, MEMORY_LIMIT.name})
_MIB: Final = 1024 * 1024
_WHOLE: Final = 100.0


def way_to(record: EnrolmentRecord, configuration: Configuration) -> Way:
    """Return how the center is dialled as things are now. Reads the card's address."""
    card = configuration.of(NETWORK_ADAPTER)
    return Way(
        url=record.center_url,
        source="" if card == DYNAMIC else address_of(card),
        authorities=configuration.of(CERT_DIRECTORY),
    )


def wait_for_restart(option: Option[str], configuration: Configuration, required: RestartRequired) -> None:
    """Have a restart asked for whenever `option` is another than it is now, at the start."""
    at_start = configuration.of(option)

    def note(names: frozenset[str]) -> None:
        if option.name in names:
            if configuration.of(option) == at_start:
                required.no_longer(option.name)
            else:
                required.because(option.name)

    configuration.observe(note)


class Effects:
    """A service that holds a member's parts to the configuration."""

    name = "configuration"

    def __init__(
        self,
        configuration: Configuration,
        *,
        membership: Membership,
        door: CenterDoor,
        link: Link,
        cgroups: TaskCgroups | None,
    ) -> None:
        """`cgroups` is the part of the tree that commands run in, None where this agent has none."""
        self._configuration = configuration
        self._membership = membership
        self._door = door
        self._link = link
        self._cgroups = cgroups
        self._names: set[str] = set()
        self._changed = asyncio.Event()

    async def serve(self, ready: Ready) -> None:
        """Apply what is configured, then each change, until cancelled."""
        with self._configuration.observed(self._note):
            # The way to the center is as configured from its making on.
            self._pace()
            if not _LIMITS.isdisjoint(self._configuration.values):
                await self._limit()
            ready()
            while True:
                await self._changed.wait()
                self._changed.clear()
                names, self._names = self._names, set()
                await self._apply(names)

    def _note(self, names: frozenset[str]) -> None:
        self._names |= names
        self._changed.set()

    async def _apply(self, names: set[str]) -> None:
        if STATUS_FREQUENCY.name in names:
            self._pace()
        if not _LIMITS.isdisjoint(names):
            await self._limit()
        if not _WAY.isdisjoint(names):
            await self._dial_anew()

    def _pace(self) -> None:
        is_set = STATUS_FREQUENCY.name in self._configuration.values
        self._link.tell_every(self._configuration.of(STATUS_FREQUENCY) if is_set else None)

    async def _limit(self) -> None:
        share = self._configuration.of(CPU_LIMIT)
        memory = self._configuration.of(MEMORY_LIMIT)
        if self._cgroups is None:
            log.warning(
                "cpu-limit and memory-limit are kept but not in force: this agent was given no cgroup"
                " of its own (a service with Delegate=yes has one)"
            )
            return
        why = await asyncio.to_thread(
            self._cgroups.limit,
            cpu=None if share >= _WHOLE else share / _WHOLE * len(os.sched_getaffinity(0)),
            memory=None if memory is None else int(memory * _MIB),
        )
        if why:
            log.warning("a limit of commands is not in force", reason=why)

    async def _dial_anew(self) -> None:
        record = await self._membership.moved()
        if record is None:
            return
        way = await asyncio.to_thread(way_to, record, self._configuration)
        try:
            await self._door.go_by(way)
        except (OSError, ValueError, OutriderError) as error:
            log.warning("the center can't be dialled as the configuration says; as before", error=error)
            return
        self._link.dial_again("the configuration of this host has changed")
