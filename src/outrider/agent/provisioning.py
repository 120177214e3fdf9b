"""Joining and leaving a center while the daemon runs: the member's services come and go under it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.agent.folder import AgentFolder
from outrider.agent.identity import keys
from outrider.agent.membership import Membership
from outrider.agent.trust import pins_of
from outrider.domain.errors import Conflict
from outrider.domain.short_forms import read_short_form
from outrider.kit import logs
from outrider.kit.files import read_bounded
from outrider.kit.supervise import Service, Supervisor
from outrider.protocol.messages import Facts

log = logs.get(__name__)

_MAX_CA: Final = 64 * 1024


class AlreadyProvisioned(Conflict):
    """This host belongs to another center than the key is of."""

    code = "already_provisioned"


class NotProvisioned(Conflict):
    """This host belongs to no center, so it can't leave one."""

    code = "not_provisioned"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What this host is called at its center. Neither is a secret."""

    agent_id: str
    device_id: str


class Provisioning:
    """Takes this host into a center and out of it, one after the other however many ask."""

    def __init__(
        self,
        *,
        membership: Membership,
        folder: AgentFolder,
        tree: Supervisor,
        member: Service,
        facts: Callable[[], Facts],
    ) -> None:
        """`member` runs under `tree`, and stays down there while there is no center. `facts` blocks."""
        self._membership = membership
        self._folder = folder
        self._tree = tree
        self._member = member
        self._facts = facts
        self._leaving: list[Callable[[], Awaitable[None]]] = []
        self._turn = asyncio.Lock()

    def when_leaving(self, forget: Callable[[], Awaitable[None]]) -> None:
        """Have `forget` wipe something else that the center has given; it may raise OSError."""
        self._leaving.append(forget)

    async def provision(self, key_text: str) -> Provisioned:
        """Join the center that is configured; returns once it has accepted this host.

        A host that belongs to the key's center already is told its names again. Raises CantJoin, and
        AlreadyProvisioned for another center.
        """
        async with self._turn:
            record = await self._membership.record()
            if record is None:
                record = await self._join(key_text)
            else:
                await self._check_same_center(record, key_text)
            identity = await keys.load_or_make(self._folder.path)
            return Provisioned(record.agent_id or "", identity.device_id)

    async def deprovision(self) -> None:
        """Leave the center: commands that run are ended, and keys and names are wiped.

        Raises NotProvisioned, or OSError when the disk does not let them go.
        """
        async with self._turn:
            if await self._membership.record() is None:
                raise NotProvisioned("this host belongs to no center")
            await self._tree.remove(self._member.name)
            try:
                await self._membership.leave()
                for forget in self._leaving:
                    await forget()
            finally:
                self._tree.add(self._member)

    async def _join(self, key_text: str) -> EnrolmentRecord:
        facts = await asyncio.to_thread(self._facts)
        # It may be asking a center itself, again and again; of two, one has to rest.
        await self._tree.remove(self._member.name)
        try:
            return await self._membership.take_in(key_text, facts)
        finally:
            self._tree.add(self._member)

    async def _check_same_center(self, record: EnrolmentRecord, key_text: str) -> None:
        if record.short_form and read_short_form(key_text) == record.short_form:
            return
        pins = (await self._membership.key_behind(record, key_text)).pins
        kept = await asyncio.to_thread(self._kept_pins)
        if not (pins & kept or pins == kept):
            raise AlreadyProvisioned(
                f"This host belongs to {record.center_url} already: deprovision it first.",
                center=record.center_url,
            )

    def _kept_pins(self) -> frozenset[str]:
        try:
            return pins_of(read_bounded(self._folder.center_ca, _MAX_CA))
        except FileNotFoundError:
            return frozenset()
