"""`GET /api/v3/client`: where this agent stands."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from outrider.agent.connection import Connection
from outrider.agent.contact import Contact
from outrider.agent.identity import keys
from outrider.agent.identity.files import Identity, load
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
        folder: Path,
        *,
        connection: Connection,
        contact: Contact,
        pause: Pause,
        restart_required: RestartRequired,
        center: Callable[[], str],
        name: Callable[[], str],
    ) -> None:
        """`center` gives the URL of the center, empty for none; `name` what this host calls itself."""
        self._folder = folder
        self._connection = connection
        self._contact = contact
        self._pause = pause
        self._restart_required = restart_required
        self._center = center
        self._name = name

    async def show(self, call: Call) -> web.StreamResponse:
        """Answer `GET /api/v3/client`."""
        identity = await self._identity()
        return as_json(
            ClientShown(
                deviceid=identity.device_id,
                deviceid_hex=identity.device_id_hex,
                name=self._contact.label or self._name(),
                paused=self._pause.paused,
                restart_required=_TRUE if self._restart_required.required else msgspec.UNSET,
                server=ServerShown(
                    addr=urlsplit(self._center()).netloc,
                    last_seen=self._contact.last_seen,
                    state=self._connection.state.value,
                ),
            )
        )

    async def _identity(self) -> Identity:
        # Read each time: a host that has left its center gets another identity while the agent runs.
        return await asyncio.to_thread(load, self._folder) or await keys.load_or_make(self._folder)
