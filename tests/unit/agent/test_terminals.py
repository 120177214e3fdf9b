"""Terminals of a host on streams: shown, typed into, left, come back to, ended."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from outrider.agent.policy import PolicyFile
from outrider.agent.streams.terminal import TerminalStream
from outrider.agent.terminals import AHEAD, Terminals
from outrider.domain.errors import Forbidden, Invalid, OutriderError, Unavailable
from outrider.domain.ids import TerminalId, new_terminal_id
from outrider.domain.terminals import (
    KEPT_SECONDS,
    MAX_TERMINALS,
    Ending,
    TerminalOver,
    TerminalTaken,
    TooManyTerminals,
)
from outrider.engines.commands.processes import living_processes, marker_of
from outrider.engines.terminal.leftovers import TerminalRecords
from outrider.engines.terminal.recent_output import CAPACITY
from outrider.engines.terminal.start import TerminalSpec
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.tasks import Tasks
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.terminal_stream import (
    WINDOW,
    Attached,
    AttachTerminal,
    EndTerminal,
    FromHost,
    HangUp,
    OpenTerminal,
    Over,
    Resize,
)
from outrider.testing.streams import JoinedStreams, joined_streams


class Looking:
    """The center's end of one stream, with what came on it."""

    def __init__(self, joined: JoinedStreams) -> None:
        self.joined = joined
        self.stream: OpenStream = joined.center
        self.attached: Attached | None = None
        self.shown = b""
        self.ending: Ending | None = None

    async def begin(self) -> Attached:
        """Wait for the first word."""
        self.attached = await self.stream.hear(Attached)
        assert self.attached is not None
        return self.attached

    async def see(self, pattern: bytes) -> re.Match[bytes]:
        """Wait until this is shown."""
        while (found := re.search(pattern, self.shown, re.DOTALL)) is None:
            assert await self._next(), f"it ended: {self.shown!r} {self.ending}"
        self.shown = self.shown[found.end() :]
        return found

    async def end(self) -> Ending:
        """Wait for the end."""
        while await self._next():
            pass
        assert self.ending is not None
        return self.ending

    async def _next(self) -> bool:
        came = await self.stream.receive()
        if isinstance(came, msgspec.Raw):
            told = msgspec.msgpack.decode(came, type=FromHost)
            assert isinstance(told, Over)
            self.ending = told.ending
            return False
        assert came is not None
        self.shown += came
        return True


class Host:
    """A host's terminals, and streams to them."""

    def __init__(self, folder: Path, clock: Clock, kept: float) -> None:
        self.folder = folder / "terminals"
        self.clock = clock
        self.policy_file = folder / "policy.toml"
        # A home without anybody's start-up files.
        self.terminals = Terminals(
            self.folder, clock=clock, cgroups=None, base_environment={"HOME": str(folder)}, kept=kept
        )
        self.kind = TerminalStream(self.terminals, PolicyFile(self.policy_file), runs_as="root")

    @asynccontextmanager
    async def asked(self, request: msgspec.Struct) -> AsyncIterator[Looking]:
        """A stream with this request, served until the block is left."""
        async with joined_streams(window=WINDOW) as joined, Tasks("serving") as tasks:
            tasks.spawn("serve", self._serve(request, joined.agent))
            yield Looking(joined)

    async def _serve(self, request: msgspec.Struct, stream: OpenStream) -> None:
        try:
            await self.kind.serve(msgspec.Raw(msgspec.msgpack.encode(request)), stream)
            await stream.end()
        except OutriderError as error:
            stream.fail(error)

    @asynccontextmanager
    async def opened(self, command: str | None = None, user: str | None = None) -> AsyncIterator[Looking]:
        """A new terminal, looked at."""
        request = OpenTerminal(
            terminal_id=new_terminal_id(self.clock.time()),
            columns=100,
            rows=30,
            term="xterm",
            command=command,
            user=user,
        )
        async with self.asked(request) as looking:
            await looking.begin()
            yield looking

    @property
    def only(self) -> TerminalId:
        """The id of the one open terminal."""
        (terminal_id,) = self.terminals._open  # noqa: SLF001 - nothing but tests asks for it
        return terminal_id

    def back(self, terminal_id: TerminalId, seen: int | None = None) -> AttachTerminal:
        """The request that comes back to a terminal."""
        return AttachTerminal(terminal_id=terminal_id, columns=100, rows=30, seen=seen)

    async def forgotten(self) -> None:
        """Wait until no terminal is held any more."""
        await until(lambda: not len(self.terminals))


@asynccontextmanager
async def running(folder: Path, clock: Clock, kept: float = KEPT_SECONDS) -> AsyncIterator[Host]:
    """A host whose terminals are served."""
    host = Host(folder, clock, kept)
    async with Tasks("host") as tasks:
        ready = asyncio.Event()
        serving = tasks.start("terminals", host.terminals.serve(ready.set))
        await ready.wait()
        yield host
        serving.cancel()
        await asyncio.wait({serving})


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A host."""
    async with running(tmp_path, SystemClock()) as host:
        yield host


async def test_a_shell_is_shown_and_typed_into(host: Host) -> None:
    """A login shell on a terminal of its own, of the size and kind that was asked for; its code is told."""
    async with host.opened() as looking:
        await looking.stream.send(b"stty size; echo $TERM:$0; tty\r")
        await looking.see(rb"30 100\r\nxterm:.*/dev/pts/\d+\r\n")
        await looking.stream.say(Resize(columns=77, rows=22))
        await looking.stream.send(b"stty size; exit 7\r")
        await looking.see(rb"22 77\r\n")
        assert await looking.end() == Ending(exit_code=7)
    await host.forgotten()


async def test_ctrl_c_interrupts_the_foreground(host: Host) -> None:
    """And the shell goes on: the terminal is its controlling one."""
    async with host.opened() as looking:
        await looking.stream.send(b"PS1='pro''mpt '; sleep 1000; echo code=$?\r")
        await looking.see(rb"sleep 1000")
        await until(lambda: any(_line(stat.pid) == b"sleep\x001000\x00" for stat in living_processes()))
        await looking.stream.send(b"\x03")
        await looking.see(rb"prompt ")  # until then the shell throws away what is typed
        await looking.stream.send(b"echo after=$?\r")
        await looking.see(rb"after=130")
        await looking.stream.say(HangUp(reason="enough"))
        assert (await looking.end()).reason == "enough"


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds: what the kernel and other processes do, nobody tells of."""
    while not holds():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.01)


def _line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_a_command_runs_in_place_of_a_prompt(host: Host) -> None:
    """Its exit code, or the signal that ended it, is told, after all that it said."""
    async with host.opened("printf said; exit 3") as looking:
        assert await looking.end() == Ending(exit_code=3)
        assert looking.shown == b"said"
    async with host.opened("kill -KILL $$") as looking:
        assert await looking.end() == Ending(signal=9)


async def test_a_flood_that_nobody_reads_stands_still(host: Host) -> None:
    """What is read from the terminal is bounded by what its reader has taken; nothing is lost to them."""
    async with host.opened("seq 1 300000") as looking:
        await looking.see(rb"^1\r\n2\r\n")
        terminal = host.terminals.find(host.only)
        before = -1
        while terminal.recent.total != before:
            before = terminal.recent.total
            await asyncio.sleep(0.05)
        assert terminal.recent.total < AHEAD + 2 * WINDOW + 128 * 1024
        assert not terminal.pty.has_exited
        await looking.see(rb"\n300000\r\n$")
        assert await looking.end() == Ending(exit_code=0)


async def test_a_cut_stream_leaves_the_terminal(host: Host) -> None:
    """Who comes back with what they have seen gets exactly what they missed."""
    async with host.opened() as looking:
        await looking.stream.send(b"echo one; sleep 0.3; echo t''wo\r")
        await looking.see(rb"one\r\n")
        terminal_id = host.only
        seen = looking.attached.offset + 0 if looking.attached else 0
        looking.joined.wire.cut()
        first = host.terminals.find(terminal_id).recent
    async with host.asked(host.back(terminal_id, seen)) as again:
        attached = await again.begin()
        assert (attached.offset, attached.lost) == (0, 0)
        await again.see(rb"one\r\n.*two\r\n")
        assert first.total >= 10
        await again.stream.send(b"exit\r")
        assert (await again.end()).exit_code == 0
    await host.forgotten()


async def test_what_is_no_longer_kept_is_said_to_be_lost(host: Host) -> None:
    """While nobody looks the terminal goes on, and keeps what it showed last."""
    async with host.opened("echo begin; read x; seq 1 200000; read x") as looking:
        await looking.see(rb"begin\r\n")
        terminal = host.terminals.find(host.only)
        await looking.stream.send(b"\r")
        await looking.see(rb"\n3\r\n")
        looking.joined.wire.cut()
        terminal_id = host.only
    await until(lambda: terminal.recent.read(terminal.recent.total - 8, 8) == b"200000\r\n")
    async with host.asked(host.back(terminal_id, 20)) as again:
        attached = await again.begin()
        assert attached.lost == terminal.recent.total - CAPACITY - 20
        assert attached.offset == terminal.recent.total - CAPACITY
        await again.see(rb"200000\r\n$")
    async with host.asked(host.back(terminal_id)) as afresh:
        assert (await afresh.begin()).lost == 0
        await afresh.stream.send(b"\r")
        assert (await afresh.end()).exit_code == 0


async def test_an_end_that_nobody_saw_is_told_to_who_comes_back(host: Host) -> None:
    """With all that was shown before it, for a minute."""
    async with host.opened("read x; echo last; exit 4") as looking:
        terminal_id = host.only
        await looking.stream.send(b"\r")
        await looking.see(rb"\r\n")
        looking.joined.wire.cut()
    terminal = host.terminals.find(terminal_id)
    await until(lambda: terminal.ending is not None)
    async with host.asked(host.back(terminal_id, 0)) as again:
        await again.begin()
        assert await again.end() == Ending(exit_code=4)
        assert again.shown.endswith(b"last\r\n")
    await host.forgotten()


async def test_nobody_comes_back_in_time(tmp_path: Path) -> None:
    """Then it is ended, with all that runs on it, and can't be come back to."""
    async with running(tmp_path, SystemClock(), kept=0.3) as host:
        async with host.opened("cat") as looking:
            await looking.stream.send(b"here\r")
            await looking.see(rb"here\r\nhere\r\n")
            terminal_id = host.only
        terminal = host.terminals.find(terminal_id)
        await until(lambda: terminal.ending is not None)
        assert terminal.ending is not None
        assert "within a minute" in terminal.ending.reason
        assert not terminal.pty.record.is_alive()
        await host.forgotten()
        async with host.asked(host.back(terminal_id)) as again:
            with pytest.raises(TerminalOver):
                await again.begin()


async def test_the_newest_look_counts(host: Host) -> None:
    """Who looked before is told and sent away; the terminal goes on."""
    async with host.opened() as looking, host.asked(host.back(host.only)) as other:
        await other.begin()
        with pytest.raises(TerminalTaken):
            await looking.end()
        await other.stream.send(b"exit 5\r")
        assert (await other.end()).exit_code == 5


async def test_what_ignores_its_end_is_killed(tmp_path: Path) -> None:
    """HUP to the whole session, TERM after five seconds, then KILL; what left the session stays."""
    async with running(tmp_path, SystemClock()) as host, host.opened() as looking:
        await looking.stream.send(
            b"setsid sh -c 'echo left=$$; exec sleep 31' & (trap '' HUP TERM; echo r''eady; sleep 30) & \r"
        )
        both = await looking.see(rb"left=(\d+).*ready|ready.*left=(\d+)")
        outside = int(both[1] or both[2])
        session = {
            stat.pid
            for stat in living_processes()
            if stat.session == host.terminals.find(host.only).pty.record.pid
        }
        assert len(session) > 1
        await looking.stream.say(HangUp())
        await looking.end()
        assert not session & {stat.pid for stat in living_processes()}
        assert _line(outside) == b"sleep\x0031\x00"
        os.kill(outside, signal.SIGTERM)


async def test_the_center_ends_a_terminal_nobody_looks_at(host: Host) -> None:
    """By its id; one that is not there is over."""
    async with host.opened() as looking:
        terminal_id = host.only
        looking.joined.wire.cut()
    async with host.asked(EndTerminal(terminal_id=terminal_id)) as ending:
        over = await ending.stream.hear(Over)
        assert over is not None
        assert "center" in over.ending.reason
    terminal = host.terminals.find(terminal_id)
    await until(lambda: terminal.ending is not None)
    assert terminal.pty.has_exited
    async with host.asked(EndTerminal(terminal_id=TerminalId("term_nothing00000000"))) as ending:
        with pytest.raises(TerminalOver):
            await ending.stream.hear(Over)


async def test_the_host_takes_so_many(host: Host) -> None:
    """One more is refused, with the number."""
    async with asyncio.timeout(60):
        for _ in range(MAX_TERMINALS):
            async with host.opened("read x"):
                pass
        with pytest.raises(TooManyTerminals) as refused:
            async with host.opened():
                pass
        assert refused.value.fields["limit"] == MAX_TERMINALS


async def test_a_user_that_is_not_there_or_not_allowed(host: Host) -> None:
    """Is refused before anything starts."""
    with pytest.raises(Invalid, match="no-such-user"):
        async with host.opened(user="no-such-user"):
            pass
    host.policy_file.write_text('users = ["nobody"]\n')
    with pytest.raises(Forbidden, match="root"):
        async with host.opened():
            pass
    assert not len(host.terminals)


@pytest.mark.parametrize("rules", ['forbid = ["terminal"]', 'users = ["nobody"]'])
@pytest.mark.parametrize("is_seen", [True, False])
async def test_a_policy_that_changes_ends_what_it_forbids(host: Host, rules: str, *, is_seen: bool) -> None:
    """A shell whose look ends for that, and one that nobody looks at just then and somebody comes back to."""
    async with host.opened("read x"):
        if is_seen:
            host.policy_file.write_text(rules)
    terminal = host.terminals.find(host.only)
    if not is_seen:
        host.policy_file.write_text(rules)
        with pytest.raises(Forbidden, match=r"policy\.toml"):
            async with host.asked(host.back(terminal.id)) as looking:
                await looking.begin()
    await until(lambda: terminal.ending is not None and "policy.toml" in terminal.ending.reason)


async def test_an_agent_that_stops_ends_them_and_says_so(tmp_path: Path) -> None:
    """Who looks is told why; nothing is left."""
    async with running(tmp_path, SystemClock()) as host, host.opened() as looking:
        await looking.stream.send(b"echo r''eady\r")
        await looking.see(rb"ready")
        record = host.terminals.find(host.only).pty.record
        async with Tasks("test") as tasks:
            ending = tasks.start("end", looking.end())
            stopping = tasks.start("stop", host.terminals._end_all())  # noqa: SLF001 - what its end does
            await asyncio.wait({ending, stopping})
            assert "stopped or restarted" in ending.result().reason
    assert not record.is_alive()
    assert TerminalRecords(host.folder).read() == []


async def test_what_outlives_the_shell_holds_no_terminal(host: Host) -> None:
    """A flood from outside of the session ends with the shell: its end is told, and nothing is left."""
    async with host.opened() as looking:
        await looking.stream.send(b"setsid sh -c 'echo left=$$; exec yes' & sleep 0.2; exit 6\r")
        outside = int((await looking.see(rb"left=(\d+)"))[1])
        try:
            async with asyncio.timeout(20):
                assert (await looking.end()).exit_code == 6
                await host.forgotten()
        finally:
            os.kill(outside, signal.SIGTERM)


async def test_a_look_that_does_not_read_is_sent_away_too(host: Host) -> None:
    """Another one that comes then types and sees at once; the older one types nothing any more."""
    async with host.opened("stty raw -echo; echo on; sleep 1000") as looking:
        await looking.see(rb"on\r?\n")
        terminal = host.terminals.find(host.only)
        # More than the terminal takes: whoever types it waits.
        await looking.stream.send(b"x" * 40_000)
        await looking.stream.send(b"x" * 40_000)
        await until(lambda: bool(terminal.pty._waiting))  # noqa: SLF001 - nothing tells that it waits
        async with host.asked(host.back(host.only)) as other:
            await other.begin()
            with pytest.raises(TerminalTaken):
                await looking.end()
            terminal.hang_up("enough")
            assert (await other.end()).reason == "enough"


async def test_a_flood_that_is_not_read_is_taken_over(host: Host) -> None:
    """Who does not read does not hold the terminal against its person's next look."""
    async with host.opened("seq 1 300000; read x") as looking:
        terminal = host.terminals.find(host.only)
        await until(lambda: looking.joined.agent.credit <= 0)
        async with host.asked(host.back(host.only)) as other:
            await other.begin()
            await until(lambda: looking.joined.center.is_over)
            await other.see(rb"\n300000\r\n$")
            terminal.hang_up("enough")
            await other.end()


async def test_a_terminal_that_is_started_while_the_agent_stops(host: Host) -> None:
    """Is discarded: nobody would end it any more."""
    spec = TerminalSpec(terminal_id=new_terminal_id(0.0), columns=80, rows=24, term="xterm")
    async with Tasks("test") as tasks:
        opening = tasks.start("open", host.terminals.open(spec))
        await asyncio.sleep(0)  # it has begun
        host.terminals._is_stopping = True  # noqa: SLF001 - what its end does first
        with pytest.raises(Unavailable):
            await opening
    assert not len(host.terminals)
    assert not any(marker_of(stat.pid) == spec.terminal_id for stat in living_processes())
