"""A small center for tests of agents: it speaks the real protocol, keeps what it hears, and misbehaves.

async with FakeCenter() as center:
    await center.linked()
    center.execute("ping")
    finished = await center.result(command_id)
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec
from aiohttp import web

from outrider.domain.connection_states import Approval
from outrider.domain.errors import LinkFault
from outrider.domain.ids import CommandId, new_agent_id, new_command_id
from outrider.protocol import streams
from outrider.protocol.link import CenterEffect, CenterLink, Close, FromTheAgent, Send
from outrider.protocol.messages import (
    Accepted,
    CenterSeen,
    Execute,
    Finished,
    FromAgent,
    FromCenter,
    Heartbeat,
    HeartbeatSeen,
    Hello,
    Minutes,
    MinutesTaken,
    Order,
    Output,
    OutputConfirmed,
    Refused,
    ResultsConfirmed,
    Started,
    Welcome,
)
from outrider.testing.bundle_shelf import BundleShelf

_KEY_UNKNOWN: Final = 401
_A_DAY: Final = 86_400.0


class FakeCenter:
    """A center of one process and no disk.

    What it does with the next links is set by its attributes: `refuse_with` (a Refused), `answer_with` (an
    HTTP status instead of a link), `confirm_results` and `confirm_output` (False: keep silent), `new_spool`,
    `begun`, `approval`, `heartbeat`, `mute` (say nothing at all on an open link). `shelf` has its bundles,
    `short_keys` the enrolment keys by their short forms.
    """

    def __init__(self) -> None:
        self.approval = Approval.APPROVED
        self.heartbeat = 10.0
        self.time_ahead = 0.0
        self.refuse_with: Refused | None = None
        self.answer_with: int | None = None
        self.confirm_results = True
        self.confirm_output = True
        self.mute = False
        self.new_spool = False
        self.begun: tuple[CommandId, ...] = ()
        self.return_within = 0.05
        self.enrolments: list[dict[str, Any]] = []
        self.enrol_answer: Callable[[dict[str, Any]], web.Response] | None = None
        self.short_keys: dict[str, str] = {}
        self.exchanges: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.hellos: list[Hello] = []
        self.said: list[FromAgent] = []
        self.frames: list[list[FromAgent]] = []
        self.results: dict[CommandId, list[Finished]] = defaultdict(list)
        self.live: dict[tuple[CommandId, int], bytearray] = defaultdict(bytearray)
        self.kept: dict[tuple[CommandId, int], dict[int, bytes]] = defaultdict(dict)
        self.streams_opened: list[streams.Open] = []
        self.shelf = BundleShelf()
        self.url = ""
        self._changed = asyncio.Condition()
        self._links: list[tuple[web.WebSocketResponse, CenterLink]] = []
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._agents: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop all links."""
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port it had before if there was one."""
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post("/api/agents/enrol", self._enrol)
        app.router.add_post("/api/agents/exchange-key", self._exchange)
        app.router.add_get("/api/agents/link", self._link)
        app.router.add_get("/api/agents/streams", self._stream)
        app.router.add_post("/api/agents/{agent_id}/report", self._report)
        self.shelf.join(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Drop everything, as a center that is killed does."""
        self.shelf.release()
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def drop(self) -> None:
        """Cut all links without a word."""
        for socket, _ in self._links:
            transport = socket._req.transport if socket._req is not None else None  # noqa: SLF001 - to cut, not close
            if transport is not None:
                transport.abort()
        self._links.clear()

    @property
    def link_count(self) -> int:
        """How many links are open."""
        return len(self._links)

    def knows(self, agent_id: str, key: str) -> None:
        """Take an agent as enrolled."""
        self._agents[agent_id] = key

    def forgets(self, agent_id: str) -> None:
        """Forget an agent: its key is dead."""
        self._agents.pop(agent_id, None)

    async def say(self, *messages: FromCenter) -> None:
        """Say something on the newest open link."""
        socket, link = self._links[-1]
        await self._carry_out(socket, link.say(messages))

    async def say_bytes(self, frame: bytes) -> None:
        """Put any bytes on the newest link, whatever they are."""
        await self._links[-1][0].send_bytes(frame)

    def order(self, kind: str, params: dict[str, Any] | None = None, *, ttl: float = _A_DAY) -> Order:
        """Make an order with a new id."""
        now = time.time() + self.time_ahead
        return Order(id=new_command_id(now), type=kind, params=params or {}, expires=now + ttl)

    async def execute(self, kind: str, **params: object) -> CommandId:
        """Send one command and return its id."""
        order = self.order(kind, params)
        await self.say(Execute(orders=(order,)))
        return order.id

    async def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Return once `holds()` is true after something was heard. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(holds)

    async def linked(self, times: int = 1) -> Hello:
        """Return the newest hello once an agent has been welcomed that many times and is still there."""
        await self.until(lambda: len(self.hellos) >= times and bool(self._links))
        return self.hellos[-1]

    async def result(self, command_id: CommandId) -> Finished:
        """Return the first result of a command."""
        await self.until(lambda: bool(self.results[command_id]))
        return self.results[command_id][0]

    async def started(self, command_id: CommandId) -> None:
        """Return once the agent has said that a command has started."""
        await self.until(lambda: any(isinstance(m, Started) and m.id == command_id for m in self.said))

    async def accepted(self, command_id: CommandId) -> None:
        """Return once the agent has said that a command is on its disk."""
        await self.until(lambda: any(isinstance(m, Accepted) and command_id in m.ids for m in self.said))

    def stored(self, command_id: CommandId, channel: int) -> bytes:
        """Return the kept output of a command that has come so far, without the dropped middle."""
        pieces = self.kept[command_id, channel]
        whole = bytearray()
        reached = 0
        for offset in sorted(pieces):
            data = pieces[offset]
            fresh = data[max(0, reached - offset) :]
            whole += fresh
            reached = max(reached, offset + len(data))
        return bytes(whole)

    async def _enrol(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.enrolments.append(body)
        if self.enrol_answer is not None:
            return self.enrol_answer(body)
        again = next((agent for agent, key in self._agents.items() if key == body["agent_key"]), None)
        agent_id = again or new_agent_id(time.time())
        self._agents[agent_id] = body["agent_key"]
        return web.json_response(
            {"agent_id": agent_id, "approval": self.approval.value, "label": body["label"]}
        )

    async def _exchange(self, request: web.Request) -> web.Response:
        short = (await request.json())["short"]
        self.exchanges.append(short)
        if short not in self.short_keys:
            return web.json_response({"detail": "no such short form", "code": "unauthenticated"}, status=401)
        return web.json_response({"key": self.short_keys[short]})

    async def _report(self, request: web.Request) -> web.Response:
        if self._agents.get(request.match_info["agent_id"]) != request.headers.get("X-Agent-Key"):
            return web.Response(status=_KEY_UNKNOWN)
        report = await request.json()
        self.reports.append(report)
        confirmed = []
        for result in report.get("results", ()):
            finished = msgspec.convert(result, Finished, builtin_types=())
            self._keep(finished)
            confirmed.append(finished.id)
        offered, self.offered = self.offered, []
        await self._tell()
        orders = [msgspec.to_builtins(order) for order in offered]
        return web.json_response({"status": "ok", "commands": orders, "confirmed": confirmed})

    offered: Sequence[Order] = ()

    async def _link(self, request: web.Request) -> web.StreamResponse:
        agent_id = request.headers.get("X-Agent-Id", "")
        if self.answer_with is not None:
            return web.Response(status=self.answer_with)
        if self._agents.get(agent_id) != request.headers.get("X-Agent-Key"):
            return web.Response(status=_KEY_UNKNOWN)
        socket = web.WebSocketResponse(compress=False, max_msg_size=2 * 1024 * 1024)
        await socket.prepare(request)
        link = CenterLink(time.monotonic(), self.heartbeat)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY and not self.mute:
                    await self._received(socket, link, message.data)
        finally:
            self._links = [pair for pair in self._links if pair[0] is not socket]
            await self._tell()
        return socket

    async def _received(self, socket: web.WebSocketResponse, link: CenterLink, frame: bytes) -> None:
        effects = link.received(frame, time.monotonic())
        heard = [effect.message for effect in effects if isinstance(effect, FromTheAgent)]
        self.frames.append(heard)
        answers: list[FromCenter] = []
        for message in heard:
            self.said.append(message)
            if isinstance(message, Hello):
                await self._carry_out(socket, self._greet(link, message))
                self._links.append((socket, link))
            else:
                answers += self._answer(message)
        await self._carry_out(socket, [effect for effect in effects if not isinstance(effect, FromTheAgent)])
        await self._carry_out(socket, link.say(answers))
        await self._tell()

    def _greet(self, link: CenterLink, hello: Hello) -> list[CenterEffect]:
        self.hellos.append(hello)
        if self.refuse_with is not None:
            return link.refuse(self.refuse_with)
        return link.welcome(
            Welcome(
                version=link.version,
                approval=self.approval,
                heartbeat=self.heartbeat,
                time=time.time() + self.time_ahead,
                seen=CenterSeen(epoch="fake", position=len(self.said)),
                new_spool=self.new_spool,
                begun=self.begun,
                return_within=self.return_within,
            )
        )

    def _answer(self, message: FromAgent) -> list[FromCenter]:
        match message:
            case Heartbeat(number=number):
                return [HeartbeatSeen(number=number, time=time.time() + self.time_ahead)]
            case Output(id=command_id, channel=channel, offset=offset, data=data):
                self.kept[command_id, channel][offset] = data
                if self.confirm_output:
                    return [OutputConfirmed(id=command_id, channel=channel, offset=offset + len(data))]
            case Minutes(rows=rows):
                return [MinutesTaken(numbers=tuple(row.number for row in rows))]
            case Finished():
                self._keep(message)
                if self.confirm_results:
                    return [ResultsConfirmed(ids=(message.id,))]
            case _:
                pass
        return []

    def _keep(self, finished: Finished) -> None:
        for channel, end in ((1, finished.stdout), (2, finished.stderr)):
            if end.data:
                self.kept[finished.id, channel][end.offset] = end.data
        self.results[finished.id].append(finished)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=streams.MAX_STREAM_FRAME + 1)
        await socket.prepare(request)
        opened = streams.decode((await socket.receive()).data)
        if not isinstance(opened, streams.Open):
            raise LinkFault("a stream begins with open")
        self.streams_opened.append(opened)
        command_id = CommandId(opened.ref)
        receiver = streams.StreamReceiver()
        taken = {channel: self._head_of(command_id, channel) for channel in (1, 2)}
        grant = receiver.open()
        await socket.send_bytes(streams.encode(msgspec.structs.replace(grant, taken=taken)))
        async for message in socket:
            frame = streams.decode(message.data)
            if isinstance(frame, streams.Data):
                receiver.received(frame)
                if frame.kept:
                    self.kept[command_id, frame.channel][frame.offset] = frame.data
                    taken[frame.channel] = frame.offset + len(frame.data)
                else:
                    self.live[command_id, frame.channel] += frame.data
                await socket.send_bytes(streams.encode(receiver.taken(dict(taken))))
            await self._tell()
        return socket

    def _head_of(self, command_id: CommandId, channel: int) -> int:
        reached = 0
        for offset, data in sorted(self.kept[command_id, channel].items()):
            if offset <= reached:
                reached = max(reached, offset + len(data))
        return reached

    async def _carry_out(self, socket: web.WebSocketResponse, effects: Sequence[CenterEffect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame=frame):
                    await socket.send_bytes(frame)
                case Close(code=code, reason=reason):
                    await socket.close(code=code, message=reason.encode())
                case FromTheAgent():
                    pass

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
