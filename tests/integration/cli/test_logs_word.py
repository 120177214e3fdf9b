"""`outrider logs`, as a process, against the center without a center."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program

_PATIENCE = 30.0
_WEB = "agent_00000000000000000001"
_DB = "agent_00000000000000000002"
_FILE = "/var/log/app.log"


class Running:
    """A run of the program that is still going on."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Return the next line of its output."""
        return await self._line(self.process.stdout)

    async def remark(self) -> str:
        """Return the next line of its standard error."""
        return await self._line(self.process.stderr)

    async def _line(self, stream: asyncio.StreamReader | None) -> str:
        assert stream is not None
        async with asyncio.timeout(_PATIENCE):
            return (await stream.readline()).decode()


@asynccontextmanager
async def running(program: Program, *words: str) -> AsyncIterator[Running]:
    """Run the program for the block; it is killed when it has not ended by then."""
    process = await program.start(*words)
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_last_lines_of_a_file(api: FakeApi, signed_in: Program) -> None:
    """As they are, as many as asked for, then it ends; as JSON with host and position."""
    api.add_agent(_WEB, "web")
    log = api.logs.add(_WEB, _FILE)
    for number in range(5):
        log.write(f"line {number}")
    shown = await signed_in.run("logs", "web", "--file", _FILE, "-n", "2")
    assert (shown.code, shown.out, shown.err) == (0, "line 3\nline 4\n", "")
    told = await signed_in.run("logs", "web", "--file", _FILE, "-n", "1", "--json")
    line = json.loads(told.out)
    assert (line["host"], line["agent_id"], line["message"], line["position"]) == ("web", _WEB, "line 4", "5")


async def test_the_journal_is_shown_with_who_wrote_it(api: FakeApi, signed_in: Program) -> None:
    """A line within a message can't pass for an entry; the query is the one that was typed."""
    api.add_agent(_WEB, "web")
    api.logs.add(_WEB).write("one\ntwo", priority=3, pid=7, unit="nginx.service", identifier="nginx")
    shown = await signed_in.run(
        "logs", "web", "-u", "nginx", "-p", "err", "--since", "1970-01-01T00:00:09+00:00", "-g", "a b&c"
    )
    assert shown.code == 0, shown.err
    assert shown.out.endswith(" nginx[7]: one\n    two\n")
    asked = next(request for request in api.requests if "stream/logs" in str(request.rel_url))
    assert dict(asked.query) == {
        "source": "journald",
        "unit": "nginx",
        "priority": "3",
        "since": "9.0",
        "grep": "a b&c",
        "follow": "false",
    }


async def test_many_hosts_are_interleaved_with_their_names(api: FakeApi, signed_in: Program) -> None:
    """Each line has its host's; a host whose log can't be read is told of, the others go on."""
    for agent_id, label in ((_WEB, "web"), (_DB, "db")):
        api.add_agent(agent_id, label)
    api.logs.add(_WEB, _FILE).write("from web")
    shown = await signed_in.run("logs", "--target", "web,db", "--file", _FILE)
    assert shown.out.split() == ["web", "|", "from", "web"]
    assert "outrider: db: There is no /var/log/app.log here." in shown.err
    assert shown.code == 5
    async with running(signed_in, "logs", "-f", "web,db", "--file", _FILE, "--quiet") as run:
        assert "from web" in await run.line()
        api.logs.add(_WEB, _FILE).write("more")
        assert await run.line() == "web | more\n"


async def test_following_survives_cuts_and_tells_of_gaps(api: FakeApi, signed_in: Program) -> None:
    """Every line once, through a lost connection and a center that is started again; Ctrl-C ends it."""
    api.add_agent(_WEB, "web")
    log = api.logs.add(_WEB, _FILE)
    log.write("one")
    async with running(signed_in, "logs", "-f", "web", "--file", _FILE) as run:
        assert await run.line() == "one\n"
        api.cut_streams()
        log.write("two")
        assert await run.line() == "two\n"
        assert "the center is away" in await run.remark()
        await api.stop()
        log.write("three")
        log.tell("gap", {"lines": 12})
        log.write("four")
        await api.start()
        assert [await run.line(), await run.line()] == ["three\n", "four\n"]
        assert "the center is away" in await run.remark()
        assert "12 lines are left out" in await run.remark()
        run.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(_PATIENCE):
            assert await run.process.wait() == 130


async def test_a_host_that_is_away_after_a_cut_is_waited_for(api: FakeApi, signed_in: Program) -> None:
    """At first it is an error; once lines were read, it is only a pause."""
    agent = api.add_agent(_WEB, "web", status="offline")
    log = api.logs.add(_WEB, _FILE)
    log.write("one")
    away = await signed_in.run("logs", "-f", "web", "--file", _FILE)
    assert (away.code, away.out) == (6, "")
    assert "not connected" in away.err
    agent["status"] = "online"
    async with running(signed_in, "logs", "-f", "web", "--file", _FILE) as run:
        assert await run.line() == "one\n"
        agent["status"] = "offline"
        api.cut_streams()
        assert "the center is away" in await run.remark()
        assert "not connected" in await run.remark()
        log.write("two")
        agent["status"] = "online"
        assert await run.line() == "two\n"


async def test_what_makes_no_sense_is_told_before_anybody_is_asked(api: FakeApi, signed_in: Program) -> None:
    """Each says what to do; 2 is the exit code."""
    api.add_agent(_WEB, "web")
    asked = len(api.requests)
    for words, reason in (
        ((), "Name a host"),
        (("web", "--target", "all"), "Name a host"),
        (("web", "--file", "app.log"), "begins with /"),
        (("web", "--file", _FILE, "--unit", "nginx"), "--unit is for the journal"),
        (("web", "-n", "10001"), "--lines"),
        (("web", "-p", "loud"), "priority"),
        (("web", "-u", "a b"), "systemd unit"),
        (("web", "--since", "soon"), "--since"),
    ):
        refused = await signed_in.run("logs", *words)
        assert (refused.code, refused.out) == (2, ""), words
        assert reason in refused.err, words
    assert len(api.requests) == asked
    nobody = await signed_in.run("logs", "--target", "nobody*")
    assert nobody.code == 2
