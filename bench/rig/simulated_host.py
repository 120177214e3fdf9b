"""One simulated host: the agent's own link - its dialling, its rules, its way back - with nothing behind it.

A command ends in the moment it arrives. What a real host adds, its spool's disk and the work itself, is
spent on that host and is no part of what a center has to carry.
"""

import random
import re
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from bench.rig.enrolment import Member, facts_of
from bench.rig.simulated_readings import minute, snapshot
from outrider.agent.connection import Connection, Standing
from outrider.agent.host_streams import HostStreams
from outrider.agent.link import Link
from outrider.agent.network import Network
from outrider.agent.policy import PolicyFile
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import ConnectionState
from outrider.domain.identity import Identity
from outrider.domain.ids import AgentId, CommandId, DeviceId
from outrider.domain.telemetry.snapshot import EVERY
from outrider.kit.clock import Clock
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import (
    MAX_FRAME,
    Accepted,
    CenterSeen,
    Execute,
    Finished,
    FromCenter,
    Hello,
    MinuteRow,
    Minutes,
    MinutesTaken,
    Order,
    Readings,
    ResultsConfirmed,
    Started,
    StreamWanted,
    Welcome,
)
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW
from outrider.protocol.version import SPOKEN

_CONNECT_SECONDS: Final = 20.0
_NO_POLICY: Final = Path("/nonexistent/policy.toml")
_A_FORTNIGHT: Final = 14 * 24 * 60
_ADDRESSES: Final = re.compile(r"\('[^)]*\)|[0-9a-f.:]{9,}")


class Tally:
    """What has happened to all hosts of a process so far.

    `failed` counts dials without a socket; `reasons` why there is no link, in the link's own words;
    `loop_errors` what the event loop has to say of connections that were given up half-way.
    """

    def __init__(self) -> None:
        self.linked = 0
        self.opened = 0
        self.dials = 0
        self.failed = 0
        self.blocked = 0
        self.loop_errors = 0
        self.reasons: Counter[str] = Counter()
        self.confirmed = 0
        self.minutes_taken = 0
        self.first_order = 0.0
        self.last_order = 0.0
        self.changed: Callable[[], None] = lambda: None


class Door:
    """Dials the center for all hosts of a process, as each host's own door does; an async context manager."""

    def __init__(self, url: str, authority: bytes) -> None:
        """`authority` (PEM) vouches for the center."""
        self._url = f"{url}/api/agents"
        context = ssl.create_default_context(cadata=authority.decode("ascii"))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0), timeout=timeout
        )

    async def dial(self, member: Member, what: str = "link") -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket for one host: its link, or with `streams` a stream.

        Raises aiohttp.ClientError or OSError.
        """
        return await self.session.ws_connect(
            f"{self._url}/{what}",
            headers={"X-Agent-Id": member.agent_id, "X-Agent-Key": member.agent_key},
            compress=0,
            max_msg_size=MAX_FRAME + 1,
        )


class SimulatedFigures:
    """The stream of a host's figures: a snapshot at once and every five seconds."""

    ability = "metrics"
    window = WINDOW

    def __init__(self, number: int, clock: Clock) -> None:
        self._number = number
        self._clock = clock

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Say snapshots until left; whatever is asked for."""
        while True:
            await stream.say(snapshot(self._number, self._clock.time(), top=True))
            await self._clock.sleep(EVERY)


class SimulatedHost:
    """The listener of one real `Link`."""

    def __init__(self, member: Member, door: Door, tally: Tally, clock: Clock, rng: random.Random) -> None:
        self._member = member
        self._door = door
        self._tally = tally
        self._clock = clock
        self._generation = 0
        self._seen: CenterSeen | None = None
        self._names = (secrets.token_hex(12), secrets.token_hex(12), secrets.token_hex(16))
        self._connection = Connection(Standing(ConnectionState.NOT_CONNECTED))
        self._connection.observe(self._note)
        self.link = Link(
            dial=self._dial,
            connection=self._connection,
            clock=clock,
            rng=rng,
            blocked=self._blocked,
            network=Network(lambda: True, clock),
            is_near=lambda: True,
        )
        self.link.hears_with(self)
        self._tasks: Tasks
        self._serves_streams = False
        self._streams = HostStreams(
            dial=lambda: door.dial(member, "streams"),
            kinds={"metrics": SimulatedFigures(member.number, clock)},
            policy=PolicyFile(_NO_POLICY),
            clock=clock,
        )

    async def serve(self, start_after: float) -> None:
        """Stay linked until cancelled; the first dial comes after that many seconds."""
        await self._clock.sleep(start_after)
        async with Tasks(f"host {self._member.number}") as tasks:
            self._tasks = tasks
            await self.link.serve(lambda: None)

    def tell_minute(self, count: int) -> None:
        """Tell a minute of the past: each count another one."""
        now = self._clock.time()
        row, latest = minute(self._member.number, now)
        number = int(now // 60) - _A_FORTNIGHT + count
        self.link.say(Minutes(rows=(MinuteRow(number, row),), latest=latest, optional=True))

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        self._tally.dials += 1
        try:
            return await self._door.dial(self._member)
        except BaseException:  # the link's patience ends a dial by cancelling it
            self._tally.failed += 1
            raise

    def _note(self, standing: Standing) -> None:
        if standing.reason:
            self._tally.reasons[_ADDRESSES.sub("*", standing.reason)] += 1

    async def _blocked(self) -> None:
        self._tally.blocked += 1

    # --- the link's listener

    @property
    def paused(self) -> bool:
        """Nobody pauses it."""
        return False

    async def greeting(self) -> Hello:
        """Say who is here."""
        incarnation, start, boot = self._names
        return Hello(
            versions=SPOKEN,
            identity=Identity(
                agent_id=AgentId(self._member.agent_id),
                device_id=DeviceId(self._member.device_id),
                incarnation=incarnation,
                generation=self._generation,
                start=start,
                earlier_starts=(),
                boot=boot,
                machine=self._member.device_id,
            ),
            facts=facts_of(self._member.number),
            time=self._clock.time(),
            seen=self._seen,
        )

    def readings(self) -> Readings:
        """Return a load that changes, as a host's does."""
        share = (self._clock.monotonic() + self._member.number) % 100.0
        return Readings(cpu_percent=share, mem_percent=41.5, disk_percent=63.2, uptime_s=int(share) + 86_400)

    async def opened(self, welcome: Welcome, *, asked: float, answered: float) -> None:
        """Count the link."""
        self._seen = welcome.seen
        self._connection.judged(welcome.approval)
        self._tally.linked += 1
        self._tally.opened += 1
        self._tally.changed()

    def measured(self, *, asked: float, answered: float, center: float) -> None:
        """Take in a measurement of the center's clock: nothing follows from it here."""

    async def heard(self, message: FromCenter) -> None:
        """Carry commands out at once; count what the center has on its disk."""
        match message:
            case Execute(orders=orders):
                self._execute(orders)
            case StreamWanted():
                if not self._serves_streams:
                    # Not before: thousands of hosts that nobody watches have nothing to wake up for.
                    self._serves_streams = True
                    self._tasks.begin("streams", self._streams.serve(lambda: None))
                self._streams.wanted(message)
            case MinutesTaken(numbers=numbers):
                self._tally.minutes_taken += len(numbers)
            case ResultsConfirmed(ids=ids):
                self._tally.confirmed += len(ids)
                self._tally.changed()
            case _:
                pass

    def _execute(self, orders: Sequence[Order]) -> None:
        self._tally.last_order = time.monotonic()
        self._tally.first_order = self._tally.first_order or self._tally.last_order
        self._generation += 1
        ids = tuple(order.id for order in orders)
        # Said in one breath, so one frame takes all, as a real agent's short command does.
        self.link.say(Accepted(ids=ids, generation=self._generation))
        for command_id in ids:
            self._finish(command_id)

    def _finish(self, command_id: CommandId) -> None:
        now = self._clock.time()
        self.link.say(Started(id=command_id, at=now))
        self.link.say(
            Finished(id=command_id, state=CommandState.SUCCEEDED, started=now, finished=now, exit_code=0)
        )

    def closed(self) -> None:
        """Count the link out."""
        self._tally.linked -= 1

    async def removed(self, detail: str) -> None:
        """Be gone; nobody deletes hosts during a measurement."""
        raise RuntimeError(f"host {self._member.number} was removed: {detail}")
