"""Terminals when something is wrong: hosts that lie, people who do, and what can't be written down."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from outrider.agent.policy import PolicyFile
from outrider.agent.terminals import Terminals
from outrider.center.http.event_streams import CONFIRMED_EVERY
from outrider.center.terminal.recording import PREFIX, RecordingMode
from outrider.domain.terminals import MAX_TERMINALS, Ending
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.terminal_stream import Attached, OpenTerminal, Over, Request
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol
from tests.fixtures.serving import serving
from tests.fixtures.terminals import Window, eventually, homely_host, record_terminals, refused, window


class Lab:
    """A center, and a host with the agent's own terminals."""

    def __init__(self, own: OwnCenter, terminals: Terminals, agent_id: str) -> None:
        self.own = own
        self.api = own.api
        self.terminals = terminals
        self.agent_id = agent_id

    async def row(self, terminal_id: str) -> Any:
        """How the center lists a terminal."""
        return next(row for row in await self.api.get("/api/terminals") if row["id"] == terminal_id)

    async def until(self, terminal_id: str, field: str) -> Any:
        """Wait until this is set."""
        return await eventually(lambda: self.row(terminal_id), lambda row: row[field] is not None)

    async def none_left(self) -> None:
        """Wait until no shell runs on the host."""
        await eventually(self._living, lambda living: not living)

    async def _living(self) -> list[str]:
        return [each.id for each in self.terminals._open.values() if each.ending is None]  # noqa: SLF001 - nothing but tests asks for it


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A center with a host."""
    async with (
        own_center(tmp_path / "center") as own,
        homely_host(own.api, tmp_path) as (terminals, agent_id),
    ):
        yield Lab(own, terminals, agent_id)


Act = Callable[[OpenStream], Awaitable[None]]


class Liar:
    """An agent's part that says of its terminals what it likes."""

    ability = "terminal"
    window = 64 * 1024

    def __init__(self, act: Act) -> None:
        self._act = act

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Open anything; the rest is the test's."""
        assert isinstance(msgspec.msgpack.decode(request, type=Request), OpenTerminal)
        await self._act(stream)


@asynccontextmanager
async def lying(folder: Path, act: Act) -> AsyncIterator[tuple[OwnCenter, str]]:
    """A center, and a host that lies; its id."""
    policy = PolicyFile(folder / "policy.toml")
    async with own_center(folder / "center") as own:
        agent = await enrol(own.api)
        async with (
            agent.linked(own.api) as link,
            serving(own.api, agent, link, {"terminal": Liar(act)}, policy),
        ):
            yield own, agent.id


async def ended_row(own: OwnCenter) -> Any:
    """The one terminal, once it is written down that it has ended."""
    rows = await eventually(lambda: own.api.get("/api/terminals"), lambda rows: rows and rows[0]["ended"])
    return rows[0]


@pytest.mark.parametrize(
    "attached",
    [
        Attached(offset=2**63, account="root"),
        Attached(offset=0, lost=2**64 - 1, account="root"),
        Attached(offset=0, account="x" * 100_000),
        Attached(offset=0, account="a\0b"),
        Attached(offset=-1, account="root"),
    ],
    ids=["offset", "lost", "long", "nul", "negative"],
)
async def test_a_host_that_says_what_can_not_be(tmp_path: Path, attached: Attached) -> None:
    """Is refused before there is a terminal."""

    async def act(stream: OpenStream) -> None:
        await stream.say(attached)
        await stream.receive()

    async with lying(tmp_path, act) as (own, agent_id):
        answer = await refused(own.api, agent_id)
        assert (answer.status, answer.code) == (502, "host_fault")
        assert await own.api.get("/api/terminals") == []


class _Nested(msgspec.Struct, tag="over"):
    ending: Any


def _deep(depth: int) -> msgspec.Raw:
    return msgspec.Raw(b"\x91" * depth + b"\x90")


@pytest.mark.parametrize(
    "last",
    [
        Over(ending=Ending(exit_code=2**40)),
        Over(ending=Ending(signal=-(2**63))),
        Over(ending=Ending(reason="x" * 200_000)),
        Over(ending=Ending(reason="a\0b")),
        Attached(offset=0),
        _Nested(ending=_deep(100_000)),
    ],
    ids=["code", "signal", "long", "nul", "twice", "deep"],
)
async def test_a_host_that_lies_about_the_end(tmp_path: Path, last: msgspec.Struct) -> None:
    """Its terminal is over, and that is written down."""

    async def act(stream: OpenStream) -> None:
        await stream.say(Attached(offset=0, account="root"))
        while True:
            await stream.say(last)
            if await stream.receive() is None:
                return

    async with lying(tmp_path, act) as (own, agent_id):
        async with window(own.api, agent_id) as shell:
            assert "ended" in (await shell.hear("ended"))["reason"]
        row = await ended_row(own)
        assert (row["exit_code"], row["signal"]) == (None, None)
        assert len(row["reason"]) < 5000


async def test_a_host_that_floods_instead_of_ending(tmp_path: Path) -> None:
    """It is not listened to for ever: the person has left, and that is written down."""

    async def act(stream: OpenStream) -> None:
        await stream.say(Attached(offset=0, account="root"))
        while True:
            await stream.send(b"x" * 65_000)

    async with lying(tmp_path, act) as (own, agent_id):
        async with window(own.api, agent_id) as shell:
            await shell.next()
            await shell.leave()
        assert (await ended_row(own))["reason"] == "Its person left it."


async def test_many_windows_at_once(lab: Lab) -> None:
    """Of several that come back in the same moment one stays; nobody takes the others' word for the end."""
    async with window(lab.api, lab.agent_id) as first:
        terminal = first.id
        first.cut()
    await lab.until(terminal, "detached")

    async def come_back() -> bool:
        try:
            async with window(lab.api, lab.agent_id, terminal=terminal) as again:
                while "cut" not in again.said and "ended" not in again.said:
                    if not await again.next():
                        break
                return "ended" in again.said
        except AssertionError:
            return False

    async with asyncio.TaskGroup() as group:
        windows = [group.create_task(come_back()) for _ in range(5)]
        await eventually(lambda: _done(windows), lambda done: done == 4)
        row = await eventually(lambda: lab.row(terminal), lambda row: row["detached"] is None)
        assert row["ended"] is None
        await lab.own.center.terminals.sweep()
        assert (await lab.row(terminal))["detached"] is None
        assert (await lab.api.ask("DELETE", f"/api/terminals/{terminal}")).status == 200
    assert sum(task.result() for task in windows) == 1
    assert "the_admin" in (await lab.row(terminal))["reason"]


async def _done(tasks: list[asyncio.Task[bool]]) -> int:
    return sum(task.done() for task in tasks)


async def test_a_person_who_says_nonsense(lab: Lab) -> None:
    """Is told what it was; so are depths that nobody reads, and sizes that no window has."""
    for text in (
        "{",
        '{"type": "x"}',
        '{"resize": {"cols": 0, "rows": 5}}',
        '{"resize": {"cols": 1000000000, "rows": 5}}',
        '{"resize": {"cols": 5, "rows": 5, "x": ' + "[" * 100_000 + "}}",
    ):
        async with window(lab.api, lab.agent_id) as shell:
            await shell.socket.send_str(text)
            assert "could not be understood" in (await shell.hear("ended"))["reason"]
        assert "could not be understood" in (await lab.until(shell.id, "ended"))["reason"]
    await lab.none_left()


async def test_numbers_that_nobody_has_seen(lab: Lab) -> None:
    """Are refused as what they are."""
    answer = await refused(lab.api, lab.agent_id, terminal="term_000000000000", seen=10**30)
    assert (answer.status, answer.code) == (400, "invalid")


async def test_an_origin_that_is_none(lab: Lab) -> None:
    """Is refused like another site's."""
    with pytest.raises(Exception, match="403"):
        async with window(lab.api, lab.agent_id, headers={"Origin": "http://["}):
            pass


async def test_what_can_not_be_recorded_is_not_begun(lab: Lab) -> None:
    """The person is told why, the terminal is over, and nothing is left of it on its host."""
    await record_terminals(lab.api, RecordingMode.OUTPUT)
    (lab.own.home / "blobs").mkdir(exist_ok=True)
    (lab.own.home / "blobs" / PREFIX).write_text("in the way")
    answer = await refused(lab.api, lab.agent_id)
    assert answer.status == 503, answer.body
    row = await ended_row(lab.own)
    assert "blob" in row["reason"] or "record" in row["reason"]
    await lab.none_left()


async def stuck(shell: Window) -> None:
    """Type more than a program takes that does not read."""
    await shell.type("stty raw -echo; echo r''eady; sleep 1000\r")
    await shell.see(r"ready")
    for _ in range(10):
        await shell.type("x" * 30_000)


async def test_leaving_a_program_that_reads_nothing(lab: Lab) -> None:
    """What was typed and is not taken does not hide that its person has left."""
    async with window(lab.api, lab.agent_id) as shell:
        await stuck(shell)
        await shell.leave()
    async with asyncio.timeout(25):
        row = await lab.until(shell.id, "ended")
        assert row["reason"] == "Its person left it."
        await lab.none_left()


async def test_a_session_that_ends_at_a_program_that_reads_nothing(lab: Lab) -> None:
    """The shell ends with it all the same."""
    async with window(lab.api, lab.agent_id) as shell:
        await stuck(shell)
        await lab.api.post("/api/logout", role="operator")
        async with asyncio.timeout(CONFIRMED_EVERY + 20):
            assert "session" in (await shell.hear("ended"))["reason"]
            await lab.none_left()


async def test_a_window_whose_reader_is_stuck_is_ended_with_its_session(lab: Lab) -> None:
    """A browser that never reads holds nothing longer than its session."""
    async with window(lab.api, lab.agent_id, command="yes") as shell:
        await shell.see("y\r\ny")
        await lab.api.post("/api/logout", role="operator")
        async with asyncio.timeout(CONFIRMED_EVERY + 20):
            await lab.none_left()
        assert "session" in (await lab.until(shell.id, "ended"))["reason"]


async def test_one_more_than_a_host_takes(lab: Lab) -> None:
    """Is refused with the number, and leaves the others alone."""
    async with asyncio.timeout(60):
        windows = []
        for _ in range(MAX_TERMINALS):
            opened = window(lab.api, lab.agent_id, command="read x")
            windows.append((opened, await opened.__aenter__()))
        answer = await refused(lab.api, lab.agent_id)
        assert (answer.status, answer.code) == (409, "too_many_terminals")
        assert answer.json["fields"]["limit"] == MAX_TERMINALS
        assert len(await lab.api.get("/api/terminals?open=true")) == MAX_TERMINALS
        for opened, shell in windows:
            await shell.leave()
            await opened.__aexit__(None, None, None)


async def test_an_agents_key_opens_nothing(lab: Lab) -> None:
    """Neither as a bearer nor in the address."""
    other = await enrol(lab.api)
    key = other.headers["X-Agent-Key"]
    for headers, query in (({"Authorization": f"Bearer {key}"}, {}), ({"Authorization": ""}, {"token": key})):
        with pytest.raises(Exception, match="401"):
            async with window(lab.api, lab.agent_id, headers=headers, **query):
                pass


async def test_a_token_in_the_address_is_not_logged(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it counts or not, and whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    token = (await lab.api.post("/api/stream-token", role="operator"))["token"]
    address = f"{lab.api.url}/api/agents/{lab.agent_id}/terminal"
    async with lab.api.session.ws_connect(address, params={"token": token, "command": "true"}) as socket:
        await Window(socket).hear("ended")
    with pytest.raises(Exception, match="401"):
        await lab.api.session.ws_connect(address, params={"token": token})
    assert token not in caplog.text


async def test_recordings_go_with_their_agent(lab: Lab) -> None:
    """At once: of terminals that have ended, and of one that is open."""
    service = lab.own.center.terminals
    await record_terminals(lab.api, RecordingMode.OUTPUT)
    async with window(lab.api, lab.agent_id, command="echo said") as ended:
        await ended.hear("ended")
    await lab.until(ended.id, "ended")

    async def kept() -> list[str]:
        return [key async for key in service._blobs.list(PREFIX)]  # noqa: SLF001 - the blobs of this center

    async with window(lab.api, lab.agent_id):
        assert len({key.split("/")[1] for key in await kept()}) == 2
        assert (await lab.api.ask("DELETE", f"/api/agents/{lab.agent_id}")).status == 200
    assert await kept() == []
