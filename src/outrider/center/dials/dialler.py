"""Dials agents in listen mode: one connection for each agent's link, more when it asks for them.

The center dials and then lets the agent speak first, as if the agent had dialled: what is served, who is let
in and how a link goes on are the same (`protocol.dialling`, decision 29). Each address is dialled again and
again: at once after a link that was open, with growing delays while nobody is there, or somebody else is.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable
from typing import Final

from litestar.types import ASGIApp

from outrider.center.dials.door import DialledDoor
from outrider.center.dials.rows import DialRow, all_dials, certificate_of, dial_of, dial_with
from outrider.center.dials.writes import RECOGNISE_DIALS, Recognised
from outrider.center.http.dialled import DialledConnection, DialledServer
from outrider.center.settings import parse_address
from outrider.center.store.engine import Store
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, DialId
from outrider.kit import logs, tcp
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.dialling import FIRST, line_for

log = logs.get(__name__)

CONNECT_WITHIN: Final = 10.0
HANDSHAKE_WITHIN: Final = 10.0
MAX_OPEN: Final = 256
"""Connections that one agent may have wanted: its streams and lanes, and some that are on their way."""
_AGAIN: Final = Backoff(0.5, 60.0)
_STOP_WITHIN: Final = 3.0


class Standing:
    """How it stands with one dial."""

    __slots__ = ("connections", "reason")

    def __init__(self) -> None:
        self.connections: set[DialledConnection] = set()
        """Those that are open, or are being opened."""
        self.reason = ""
        """Why the last try failed; empty once one has succeeded."""

    @property
    def is_connected(self) -> bool:
        """Whether somebody has answered, and is there."""
        return any(connection.connections for connection in self.connections)


class Dialler:
    """Keeps the dials up. A service."""

    name = "dialler"

    def __init__(self, store: Store, app: Callable[[], ASGIApp], clock: Clock, rng: random.Random) -> None:
        """Dial for what the store says; `app` gives what the center serves, once it is put together."""
        self._store = store
        self._clock = clock
        self._rng = rng
        self._server = DialledServer(DialledDoor(app, self._recognise))
        self._tasks = Tasks(self.name)
        self._keeping: dict[DialId, asyncio.Task[None]] = {}
        self._standings: dict[DialId, Standing] = {}
        self._of_connection: dict[DialledConnection, DialId] = {}
        self.context_of: Callable[[], ssl.SSLContext] | None = None
        """Makes a context that shows the center's certificate; None where it has none."""

    async def serve(self, ready: Ready) -> None:
        """Dial until cancelled; open connections are then closed politely."""
        async with self._store.read() as conn:
            known = await all_dials(conn)
        async with self._tasks:
            for row in known:
                self.keep(row.id)
            ready()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await self._hang_up()

    def keep(self, dial_id: DialId) -> None:
        """Dial from now on."""
        if dial_id not in self._keeping:
            self._standings[dial_id] = Standing()
            self._keeping[dial_id] = self._tasks.start(f"dial {dial_id}", self._keep(dial_id))

    def drop(self, dial_id: DialId) -> None:
        """Stop dialling, and end what is open."""
        keeping = self._keeping.pop(dial_id, None)
        if keeping is not None:
            keeping.cancel()
        standing = self._standings.pop(dial_id, None)
        for connection in [] if standing is None else list(standing.connections):
            connection.close()

    def moved(self, dial_id: DialId) -> None:
        """Dial anew: the address is another one."""
        self.drop(dial_id)
        self.keep(dial_id)

    def standing_of(self, dial_id: DialId) -> Standing | None:
        """Say how it stands with a dial; None when it is not dialled."""
        return self._standings.get(dial_id)

    async def wanted(self, agent_id: AgentId, name: str) -> None:
        """Dial an agent once more, as it has asked on its link; nothing for one that is not dialled."""
        async with self._store.read() as conn:
            row = await dial_of(conn, agent_id)
        standing = None if row is None else self._standings.get(row.id)
        if row is None or standing is None:
            log.warning("an agent wants to be dialled, and is not known to wait", agent_id=agent_id)
        elif len(standing.connections) >= MAX_OPEN:
            log.warning("an agent wants too many connections", agent_id=agent_id, limit=MAX_OPEN)
        else:
            self._tasks.spawn(f"dial {row.id} once more", self._once_more(row, standing, name))

    async def _keep(self, dial_id: DialId) -> None:
        attempt = 0
        while True:
            try:
                async with self._store.read() as conn:
                    row = await dial_with(conn, dial_id)
            except NotFound:
                # Its agent was deleted: the row went with it.
                self._keeping.pop(dial_id, None)
                self._standings.pop(dial_id, None)
                return
            was_asked = await self._try(row, self._standings[dial_id])
            attempt = 0 if was_asked else attempt + 1
            await self._clock.sleep(_AGAIN.delay(attempt, self._rng))

    async def _try(self, row: DialRow, standing: Standing) -> bool:
        """Keep one connection until it is over; tell whether anything was asked for on it."""
        try:
            connection = await self._serve(row, standing, FIRST)
        except (OSError, TimeoutError) as error:
            self._failed(row, standing, _why(error))
            return False
        if not connection.was_asked:
            self._failed(row, standing, "who answers there asks for nothing: no agent of this center?")
        return connection.was_asked

    async def _once_more(self, row: DialRow, standing: Standing, name: str) -> None:
        try:
            await self._serve(row, standing, name)
        except (OSError, TimeoutError) as error:
            # The agent gives it up by itself, and says so where it matters.
            log.warning("an agent could not be dialled once more", address=row.address, reason=_why(error))

    async def _serve(self, row: DialRow, standing: Standing, name: str) -> DialledConnection:
        """Open a connection; return it once it is over. Raises OSError or TimeoutError where none opens."""
        connection = DialledConnection()
        standing.connections.add(connection)
        self._of_connection[connection] = row.id
        try:
            context = await self._context_for(row)
            stream = await self._clock.wait_for(_connected(row.address), CONNECT_WITHIN)
            try:
                await asyncio.get_running_loop().sock_sendall(stream, line_for(name))
                await self._server.serve(connection, stream, context, handshake_within=HANDSHAKE_WITHIN)
            except BaseException:
                stream.close()
                raise
            standing.reason = ""
            await connection.over.wait()
        finally:
            connection.close()
            standing.connections.discard(connection)
            del self._of_connection[connection]
        return connection

    async def _context_for(self, row: DialRow) -> ssl.SSLContext:
        """Make a context in which only the agent's own host can answer, once it is known which that is.

        Before, nothing but its enrolment key says who it is, and that it shows later.
        """
        if self.context_of is None:
            raise ConnectionError(
                "agents are dialled over TLS and this center has no certificate: start it with "
                "OUTRIDER_TLS_LISTEN, at 127.0.0.1:8443 where nobody else is to come in there"
            )
        context = self.context_of()
        # The host's certificate then travels encrypted, and only to who has proved to be the center.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if row.agent_id is not None:
            async with self._store.read() as conn:
                certificate = await certificate_of(conn, row.agent_id)
            if certificate:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=certificate)
        return context

    async def _recognise(self, connection: DialledConnection, agent_id: AgentId) -> None:
        dial_id = self._of_connection.get(connection)
        if dial_id is None:
            raise NotFound("This agent is not dialled any more.")
        recognised = Recognised(id=dial_id, agent_id=agent_id)
        for replaced in await self._store.writer.submit(RECOGNISE_DIALS, recognised):
            log.info("an agent waits at another address now", agent_id=agent_id, dial=dial_id)
            self.drop(replaced)

    def _failed(self, row: DialRow, standing: Standing, reason: str) -> None:
        if standing.reason != reason:
            standing.reason = reason
            log.info("an agent can't be reached by dialling", address=row.address, reason=reason)

    async def _hang_up(self) -> None:
        open_now = [connection for connection in self._of_connection if connection.connections]
        for connection in open_now:
            connection.close()
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                for connection in open_now:
                    await connection.over.wait()
        except TimeoutError:
            for connection in open_now:
                connection.abort()
        for connection in open_now:
            if connection.tasks:
                await asyncio.wait(connection.tasks)


async def _connected(address: str) -> socket.socket:
    """Connect to the first of an address's machines that answers. Raises OSError."""
    target = parse_address(address, "address")
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    failure: OSError = ConnectionError(f"{target.host} has no address")
    for family, kind, number, _, place in found:
        stream = socket.socket(family, kind, number)
        try:
            stream.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
            tcp.notice_the_dead(stream)
            await loop.sock_connect(stream, place)
        except OSError as error:
            stream.close()
            failure = error
        except BaseException:
            stream.close()
            raise
        else:
            return stream
    raise failure


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nobody answers there"
    return logs.describe_error(error)
