"""`GET /api/v3/client`: where this agent stands."""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from outrider.agent.connection import Connection
from outrider.agent.contact import Contact
from outrider.agent.enrolment_record import read_record
from outrider.agent.folder import AgentFolder
from outrider.agent.identity import keys
from outrider.agent.identity.files import Identity, load
from outrider.agent.local import web
from outrider.agent.local.calls import Call
from outrider.agent.local.client.answers import as_json
from outrider.agent.pause import Pause
from outrider.agent.restart_required import RestartRequired

_TRUE: Final = "true"


class ServerShown(msgspec.Struct, frozen=True, kw_only=True):
    """The center as this agent sees it: `last_seen` is unix time, 0 before the first contact."""

    addr: str
    last_seen: int
    state: str


class ClientShown(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `restartRequired` is there only while a changed setting waits for a restart."""

    deviceid: str
    deviceid_hex: str = msgspec.field(name="deviceidHex")
    name: str
    paused: bool
    restart_required: str | msgspec.UnsetType = msgspec.field(name="restartRequired", default=msgspec.UNSET)
    server: ServerShown


class ClientStatus:
    """Puts the answer together from the parts that know it."""

    def __init__(
        self,
        folder: AgentFolder,
        *,
        connection: Connection,
        contact: Contact,
        pause: Pause,
        restart_required: RestartRequired,
        center: Callable[[], str],
        name: Callable[[], str],
    ) -> None:
        """`center` gives the URL that a host which belongs to no center is told to join, empty for none.

        `name` gives what this host calls itself until the center has said its label.
        """
        self._folder = folder
        self._connection = connection
        self._contact = contact
        self._pause = pause
        self._restart_required = restart_required
        self._center = center
        self._name = name

    async def show(self, call: Call) -> web.StreamResponse:
        """Answer `GET /api/v3/client`."""
        identity, url = await asyncio.to_thread(self._look)
        if identity is None:
            identity = await keys.load_or_make(self._folder.path)
        return as_json(
            ClientShown(
                deviceid=identity.device_id,
                deviceid_hex=identity.device_id_hex,
                name=self._contact.label or self._name(),
                paused=self._pause.paused,
                restart_required=_TRUE if self._restart_required.required else msgspec.UNSET,
                server=ServerShown(
                    addr=urlsplit(url).netloc,
                    last_seen=self._contact.last_seen,
                    state=self._connection.state.value,
                ),
            )
        )

    def _look(self) -> tuple[Identity | None, str]:
        # Each time: a host may leave its center and join another while the agent runs.
        record = read_record(self._folder.enrolment)
        enrolled = record is not None and record.is_enrolled
        return load(
            self._folder.path
        ), record.center_url if record is not None and enrolled else self._center()
