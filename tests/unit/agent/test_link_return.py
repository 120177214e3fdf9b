"""How the link comes back: the delays, on a clock that is turned."""

import asyncio
import errno
import random
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp.client_reqrep import RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from outrider.agent.connection import Connection, Standing
from outrider.agent.conversation import Socket
from outrider.agent.endings import KEY_REFUSED_AGAIN
from outrider.agent.link import CEILING, Link
from outrider.agent.network import Network
from outrider.domain.connection_states import ConnectionState
from outrider.domain.identity import Identity
from outrider.domain.ids import AgentId, DeviceId
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import Facts, FromCenter, Hello, Readings, Welcome
from outrider.protocol.version import SPOKEN
from outrider.testing.clock import TurnedClock

_S = ConnectionState


class _Nobody:
    """A listener with nothing to say."""

    paused = False

    async def greeting(self) -> Hello:
        identity = Identity(
            agent_id=AgentId("agent_000000000000"),
            device_id=DeviceId("D"),
            incarnation="i",
            generation=0,
            start="s",
            earlier_starts=(),
            boot="b",
            machine="m",
        )
        return Hello(versions=SPOKEN, identity=identity, facts=Facts(hostname="h", os="o"), time=0.0)

    def readings(self) -> Readings | None:
        return None

    async def opened(self, welcome: Welcome, *, asked: float, answered: float) -> None:
        return

    def measured(self, *, asked: float, answered: float, center: float) -> None:
        return

    async def heard(self, message: FromCenter) -> None:
        return

    def closed(self) -> None:
        return

    async def removed(self, detail: str) -> None:
        return


def _upgrade_refused(status: int) -> aiohttp.WSServerHandshakeError:
    headers = CIMultiDictProxy(CIMultiDict[str]())
    url = URL("http://center/")
    return aiohttp.WSServerHandshakeError(
        RequestInfo(url, "GET", headers, url), (), status=status, message="", headers=headers
    )


class _Dialled:
    """Counts dials that all fail the same way, and notes when they were made."""

    def __init__(self, clock: TurnedClock, failure: Callable[[], Exception]) -> None:
        self.at: list[float] = []
        self._clock = clock
        self._failure = failure

    async def __call__(self) -> Socket:
        self.at.append(self._clock.monotonic())
        raise self._failure()


async def _delays(
    failure: Callable[[], Exception], seconds: float, connection: Connection, seed: int = 1
) -> list[float]:
    """Let the clock run and return the pauses between dials."""
    clock = TurnedClock()
    dialled = _Dialled(clock, failure)
    polled = asyncio.Event()

    async def blocked() -> None:
        polled.set()

    link = Link(
        dial=dialled,
        connection=connection,
        clock=clock,
        rng=random.Random(seed),  # noqa: S311 - a test's own chance
        blocked=blocked,
        network=Network(lambda: True, clock),
        is_near=lambda: False,
    )
    link.hears_with(_Nobody())
    async with Tasks("test") as tasks:
        serving = tasks.start("link", link.serve(lambda: None))
        await clock.advance(seconds)
        assert not serving.done()
    return [after - before for before, after in zip(dialled.at, dialled.at[1:], strict=False)]


@pytest.mark.parametrize("seed", range(5))
async def test_failed_dials_spread_and_never_exceed_the_ceiling(seed: int) -> None:
    """Each failure doubles the range of the next delay; however long it takes, CEILING is the most."""
    connection = Connection(Standing(ConnectionState.NOT_CONFIGURED))
    delays = await _delays(ConnectionRefusedError, 1200.0, connection, seed)
    for attempt, delay in enumerate(delays):
        assert 0 <= delay <= min(CEILING, 2.0**attempt)
    assert max(delays) > 10.0
    assert connection.state is ConnectionState.NOT_CONNECTED


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_dead_key_is_tried_rarely(status: int) -> None:
    """A center that does not take the key is asked every few minutes, and the state says why."""
    connection = Connection(Standing(ConnectionState.NOT_CONFIGURED))
    delays = await _delays(lambda: _upgrade_refused(status), 3600.0, connection)
    assert len(delays) >= 5
    assert min(delays) >= KEY_REFUSED_AGAIN
    assert connection.standing.reason


async def test_no_route_is_stopped() -> None:
    """Without a route to the center the state is STOPPED, and the agent goes on trying."""
    connection = Connection(Standing(ConnectionState.NOT_CONFIGURED))
    delays = await _delays(lambda: OSError(errno.ENETUNREACH, "unreachable"), 300.0, connection)
    assert connection.state is ConnectionState.STOPPED
    assert len(delays) >= 4


class _Cards:
    """A host's cards, which a test connects and disconnects; `link` is tried while they are."""

    def __init__(self, *, connected: bool, near: bool = False, waits: bool = False) -> None:
        self.clock = TurnedClock()
        self.connected = connected
        self.network = Network(lambda: self.connected, self.clock)
        self.connection = Connection(Standing(ConnectionState.NOT_CONFIGURED))
        self.dialled = _Dialled(self.clock, ConnectionRefusedError)
        self.link = Link(
            dial=self.dialled,
            connection=self.connection,
            clock=self.clock,
            rng=random.Random(1),  # noqa: S311 - a test's own chance
            blocked=self._never,
            network=self.network,
            is_near=lambda: near,
            arrival=self._never if waits else None,
        )
        self.link.hears_with(_Nobody())

    async def _never(self) -> None:
        await asyncio.Event().wait()

    async def plug(self, *, connected: bool) -> None:
        """Connect or disconnect them, and let a minute pass."""
        self.connected = connected
        self.network.look_again()
        await self.clock.advance(60.0)


@pytest.mark.parametrize("waits", [False, True])
async def test_without_a_network_the_link_rests_until_there_is_one(*, waits: bool) -> None:
    """STOPPED, and not one dial; at work again when the network is back, and STOPPED when it goes again."""
    cards = _Cards(connected=False, waits=waits)
    working = _S.WAITING_FOR_INCOMING_CONNECTION if waits else _S.NOT_CONNECTED
    async with Tasks("test") as tasks:
        tasks.spawn("link", cards.link.serve(lambda: None))
        await cards.clock.advance(600.0)
        assert (cards.connection.state, cards.dialled.at) == (_S.STOPPED, [])
        await cards.plug(connected=True)
        assert cards.connection.state is working
        before = len(cards.dialled.at)
        assert waits or before > 2
        await cards.plug(connected=False)
        assert cards.connection.state is _S.STOPPED
        await cards.clock.advance(600.0)
        assert len(cards.dialled.at) == before


async def test_a_center_on_this_host_needs_no_network() -> None:
    """A host without any card but the loopback reaches the center on itself."""
    cards = _Cards(connected=False, near=True)
    async with Tasks("test") as tasks:
        tasks.spawn("link", cards.link.serve(lambda: None))
        await cards.clock.advance(60.0)
    assert cards.connection.state is _S.NOT_CONNECTED
    assert cards.dialled.at
