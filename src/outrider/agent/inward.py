"""Listen mode: what connects to the center where the center dials this host, not this host the center."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler

from outrider.agent import trust
from outrider.agent.incoming import HANDSHAKE_WITHIN, Incoming
from outrider.agent.voice import Voice

_DIAL_SECONDS: Final = 15.0

Connect = Callable[[], socket.socket]
"""Gives a connected socket, before TLS. Blocks; raises OSError."""


class Inward:
    """Connections that the center has dialled, for those who else would dial it."""

    def __init__(self, incoming: Incoming, identity: Path) -> None:
        """`identity` is the folder with this host's key and certificate: the center asks for that."""
        self._incoming = incoming
        self._identity = identity
        self._context: ssl.SSLContext | None = None
        self._name = ""

    def trust(self, url: str, context: ssl.SSLContext | None) -> None:
        """Take for the center who proves to be the one at `url`. Raises CenterUrlRefused, or OSError."""
        check_url(url)
        if context is None:
            raise ValueError("without TLS nobody can prove to be the center")
        self._name = yarl.URL(url).host or ""
        # This host's certificate then travels encrypted, and only to who has proved to be the center.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        trust.show(context, self._identity)
        self._context = context
        self._incoming.trust(context, self._name)

    def speak_with(self, voice: Voice) -> None:
        """Ask the center for connections with `voice` from now on."""
        self._incoming.speak_with(voice)

    def rest(self) -> None:
        """Take nobody for the center until `trust` is called again."""
        self._incoming.trust_nobody()

    async def arrival(self) -> None:
        """Return once the center has dialled."""
        await self._incoming.arrived()

    def first(self) -> aiohttp.BaseConnector:
        """Make what takes the connection that the center has dialled."""
        return _Arrived(self._incoming)

    def more(self) -> aiohttp.BaseConnector:
        """Make what has the center dial once more."""
        return _Another(self._incoming, self._trusted(), self._name)

    async def another(self) -> socket.socket:
        """Have the center dial once more, for who proves it by itself. The socket does not block.

        Raises OSError.
        """
        return await self._incoming.another()

    def connect(self) -> Connect:
        """Give what has the center dial once more, for threads."""
        loop = asyncio.get_running_loop()

        def connect() -> socket.socket:
            connection = asyncio.run_coroutine_threadsafe(self._incoming.another(), loop).result()
            connection.settimeout(_DIAL_SECONDS)
            return connection

        return connect

    def _trusted(self) -> ssl.SSLContext:
        if self._context is None:
            raise RuntimeError("nobody was said to be trusted")
        return self._context


def check_url(url: str) -> None:
    """Raise CenterUrlRefused for an address by which the center can't be known in listen mode."""
    parsed = trust.check_center_url(url)
    if parsed.scheme != "https":
        raise trust.CenterUrlRefused(
            "an agent that waits for its center knows it by the name in its address and the certificate for "
            f"that: the address must read https://name[:port], not {url}"
        )


class _Arrived(aiohttp.BaseConnector):
    def __init__(self, incoming: Incoming) -> None:
        super().__init__()
        self._incoming = incoming

    async def _create_connection(self, *_request: Any) -> ResponseHandler:
        transport = await self._incoming.take()
        protocol = self._factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol


class _Another(aiohttp.BaseConnector):
    def __init__(self, incoming: Incoming, context: ssl.SSLContext, name: str) -> None:
        super().__init__(force_close=True)
        self._incoming = incoming
        self._context = context
        self._name = name

    async def _create_connection(self, *_request: Any) -> ResponseHandler:
        connection = await self._incoming.another()
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(
                self._factory,
                sock=connection,
                ssl=self._context,
                server_hostname=self._name,
                ssl_handshake_timeout=HANDSHAKE_WITHIN,
            )
        except BaseException:
            connection.close()
            raise
        return protocol
