"""The client API and the pause in a network of their own, where every packet is seen."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from outrider.domain.command_states import CommandState
from outrider.protocol.messages import Heartbeat, StreamWanted
from outrider.testing.agent import AgentProcess
from outrider.testing.center import FakeCenter
from tests.fixtures.bare_host import OwnNetwork, own_network

pytestmark = pytest.mark.system

_PORT: Final = 3840
_ALL_PACKETS: Final = 3
_OUTGOING: Final = 4
_ARP: Final = 0x0806
_IPV4: Final = 0x0800
_TCP: Final = 6
_SYN: Final = 0x02


class Packet(NamedTuple):
    """One packet that came out of the network: where it goes, and what it carries."""

    address: str
    port: int
    protocol: int
    opens: bool
    place: int
    """Where what it carries belongs in the stream: the same when it is sent twice."""
    payload: int


@pytest.fixture
def network() -> Iterator[OwnNetwork]:
    """A network that only this machine reaches."""
    with own_network() as network:
        yield network


@asynccontextmanager
async def _agent(network: OwnNetwork, center: FakeCenter, home: Path) -> AsyncIterator[AgentProcess]:
    """An agent in the network, and the one way out of it: to the center."""
    host, port = center.url.removeprefix("http://").split(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        async with asyncio.TaskGroup() as both:
            both.create_task(carry(reader, back))
            both.create_task(carry(there, writer))

    server = await asyncio.start_server(relay, network.our_address, 0)
    async with server:
        url = f"http://{network.our_address}:{server.sockets[0].getsockname()[1]}"
        agent = AgentProcess(
            home, url, prefix=network.entering(), client_api_enabled="true", allow_plain_http="true"
        )
        async with agent:
            await center.linked()
            await agent.logged('a local API is open api="client API" at=127.0.0.1:3840')
            yield agent


async def _run(network: OwnNetwork, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *network.entering(*command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def _tell(network: OwnNetwork, agent: AgentProcess, *words: str) -> str:
    """Say words of `outrider agent`, as a person on the host does."""
    return await _run(network, sys.executable, "-m", "outrider", "agent", *words, "--home", str(agent.home))


@contextmanager
def _sniffing(network: OwnNetwork) -> Iterator[Callable[[], list[Packet]]]:
    """Give what returns the packets that have come out of the network since it was asked last."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PACKETS)) as card:
        card.settimeout(0)
        card.bind((network.card, 0))

        def seen() -> list[Packet]:
            packets: list[Packet] = []
            while True:
                try:
                    data, told = card.recvfrom(65536)
                except BlockingIOError:
                    return packets
                if told[2] != _OUTGOING and (packet := _read(data)) is not None:
                    packets.append(packet)

        yield seen


def _read(data: bytes) -> Packet | None:
    """Read a frame of Ethernet; None for ARP, by which the kernel finds its neighbour."""
    kind = int.from_bytes(data[12:14])
    if kind == _ARP:
        return None
    assert kind == _IPV4, f"a packet of kind {kind:#06x}"
    ip = data[14:]
    length, head = int.from_bytes(ip[2:4]), (ip[0] & 15) * 4
    tcp = ip[head:length]
    return Packet(
        address=socket.inet_ntoa(ip[16:20]),
        port=int.from_bytes(tcp[2:4]),
        protocol=ip[9],
        opens=bool(tcp[13] & _SYN),
        place=int.from_bytes(tcp[4:8]),
        payload=len(tcp) - (tcp[12] >> 4) * 4,
    )


async def test_nobody_in_another_network_reaches_it(
    network: OwnNetwork, center: FakeCenter, tmp_path: Path
) -> None:
    """It answers in its own network, and to nobody who comes by its cable or under its address."""
    async with _agent(network, center, tmp_path / "agent"):
        answer = await _run(network, "curl", "-sS", f"http://localhost:{_PORT}/api/v3/token")
        assert "token" in msgspec.json.decode(answer)
        with pytest.raises(OSError, match="refused"):
            await asyncio.to_thread(socket.create_connection, (network.address, _PORT), 5)
        refused = [*network.entering("curl", "-sS", f"http://{network.address}:{_PORT}/api/v3/token")]
        process = await asyncio.create_subprocess_exec(*refused, stderr=asyncio.subprocess.DEVNULL)
        assert await process.wait() != 0


async def test_a_paused_agent_sends_heartbeats_and_nothing_else(
    network: OwnNetwork, center: FakeCenter, tmp_path: Path
) -> None:
    """Not one packet elsewhere, no new connection, and on the link nothing but that it is paused."""
    center.heartbeat = 0.3
    async with _agent(network, center, tmp_path / "agent") as agent:
        lines = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.2; done"
        running = await center.execute("shell", command=lines)
        await center.started(running)
        assert await _tell(network, agent, "pause") == "Paused.\n"
        await center.until(lambda: bool(_beats(center)) and _beats(center)[-1].paused)
        with _sniffing(network) as seen:
            from_here = len(center.said)
            await center.execute("ping")
            wanted = StreamWanted(stream_id="s", kind="logs", token="t", request=msgspec.Raw(b"\x80"))
            await center.say(wanted)
            beats = len(_beats(center))
            await center.until(lambda: len(_beats(center)) >= beats + 10)
            agent.signal(signal.SIGSTOP)
            packets = seen()
            assert {(packet.address, packet.protocol) for packet in packets} == {(network.our_address, _TCP)}
            assert len({packet.port for packet in packets}) == 1
            assert not any(packet.opens for packet in packets)
            # A heartbeat is a packet, and what the agent had sent when it was stopped is still to arrive.
            sent = {packet.place for packet in packets if packet.payload}
            await center.until(lambda: len(center.said) >= from_here + len(sent))
            assert all(
                isinstance(message, Heartbeat) and message.paused and message.readings is None
                for message in center.said[from_here:]
            )
            agent.signal(signal.SIGCONT)
        assert await _tell(network, agent, "resume") == "Resumed.\n"
        finished = await center.result(running)
        assert finished.state is CommandState.SUCCEEDED
        assert center.stored(running, 1) == b"".join(b"%d\n" % number for number in range(1, 11))


def _beats(center: FakeCenter) -> list[Heartbeat]:
    return [message for message in center.said if isinstance(message, Heartbeat)]
