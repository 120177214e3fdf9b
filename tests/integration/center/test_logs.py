"""Logs of a host, from the part of its agent that reads them to the reader of the center's event stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from outrider.agent.host_streams import TICK, HostStreams
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.logs import LogStream
from outrider.center.http.event_streams import CONFIRMED_EVERY, TAKEN_WITHIN
from outrider.center.logs.service import LOOK_AGAIN
from outrider.domain.logs import LONGEST_LINE, MAX_LINES
from outrider.engines.logs.journalctl import Journal
from outrider.kit.clock import Clock, SystemClock
from outrider.kit.sse import SseEvent
from outrider.protocol.open_stream import OpenStream
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import EventStream
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.journal import JournalFiles
from tests.fixtures.links import TestAgent, TestLink, enrol
from tests.fixtures.serving import serving


class WatchedLogs(LogStream):
    """What serves logs, and tells how far its newest stream is."""

    stream: OpenStream | None = None

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Serve as ever."""
        self.stream = stream
        await super().serve(request, stream)

    async def until_stuck(self) -> None:
        """Return once the newest stream has had no credit for many turns of the loop: nobody reads it."""
        turns = 0
        while turns < 20_000:
            await asyncio.sleep(0)
            turns = turns + 1 if self.stream is not None and self.stream.credit <= 0 else 0


@dataclass(slots=True)
class Site:
    """A center with one host whose logs can be read."""

    own: OwnCenter
    agent: TestAgent
    host: HostStreams
    link: TestLink
    file: Path
    logs: "WatchedLogs"

    def path(self, **query: str) -> str:
        """The address of a log: of the file, unless the query says otherwise."""
        asked = query if "source" in query else {"source": "file", "path": str(self.file), **query}
        return f"{self.agent.path}/stream/logs?{urlencode(asked)}"

    @asynccontextmanager
    async def reading(self, *, after: str | None = None, **query: str) -> AsyncIterator[EventStream]:
        """Read a log for the block."""
        async with self.own.api.events(self.path(**query), role="operator", last_event_id=after) as events:
            assert events.status == 200, await events.rest()
            yield events

    def add(self, text: str) -> None:
        """Write more into the file."""
        with self.file.open("a") as file:
            file.write(text)


@asynccontextmanager
async def a_site(
    tmp_path: Path, *, rules: str = "", clock: Clock | None = None, journal: Path | None = None
) -> AsyncIterator[Site]:
    """Run a center with one host."""
    policy, file = tmp_path / "policy.toml", tmp_path / "app.log"
    policy.write_text(rules)
    file.write_text("one\ntwo\nthree\n")
    rules_file = PolicyFile(policy)
    logs = WatchedLogs(rules_file, Journal(str(journal or tmp_path)), SystemClock())
    async with own_center(tmp_path / "center", clock=clock) as own:
        agent = await enrol(own.api)
        async with (
            agent.linked(own.api) as link,
            serving(own.api, agent, link, {"logs": logs}, rules_file, clock) as host,
        ):
            yield Site(own, agent, host, link, file, logs)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Give such a site."""
    async with a_site(tmp_path) as site:
        yield site


def message(event: SseEvent | None) -> str:
    """Return the line that an event is."""
    assert event is not None
    assert event.event == "message", event
    text: str = json.loads(event.data)["message"]
    return text


async def error_of(events: EventStream) -> str:
    """Return the code of the error that is all a stream gives."""
    (event,) = await events.rest()
    assert event.event == "error", event
    told = json.loads(event.data)
    assert told["detail"]
    code: str = told["code"]
    return code


async def test_a_file_is_followed_and_gone_on_with(site: Site) -> None:
    """Its last lines, then new ones, each with a time; from any event's id on nothing is told twice."""
    async with site.reading(lines="2") as events:
        first = await events.next()
        assert message(first) == "two"
        assert message(await events.next()) == "three"
        site.add("four\n")
        assert message(last := await events.next()) == "four"
        assert last is not None
        assert json.loads(last.data)["time"] > 0
    assert first is not None
    async with site.reading(after=first.id, follow="false") as events:
        told = await events.rest()
    assert [message(event) for event in told[:-1]] == ["three", "four"]
    assert (told[-1].event, told[-1].id) == ("end", last.id)


async def test_a_stream_token_opens_it_once(site: Site) -> None:
    """As browsers need it."""
    token = (await site.own.api.post("/api/stream-token", role="operator"))["token"]
    for status in (200, 401):
        async with site.own.api.events(site.path(token=token, follow="false"), role=None) as events:
            assert events.status == status


async def test_only_lines_that_fit(site: Site) -> None:
    """The pattern is matched on the host."""
    async with site.reading(grep="^t", lines="1") as events:
        assert message(await events.next()) == "three"
        site.add("four\nten\n")
        assert message(await events.next()) == "ten"


async def test_what_becomes_of_the_file_is_told(site: Site) -> None:
    """Rotation and truncation are notices between the lines."""
    async with site.reading(lines="1") as events:
        assert message(await events.next()) == "three"
        site.file.with_suffix(".1").hardlink_to(site.file)
        fresh = site.file.with_suffix(".new")
        fresh.write_text("new\n")
        # At once, so that it is never found missing, of which there would be a notice as well.
        fresh.replace(site.file)
        notice, line = await events.next(), await events.next()
        assert notice is not None
        assert (notice.event, json.loads(notice.data)["code"]) == ("notice", "rotated")
        assert message(line) == "new"


async def test_what_can_not_be_read_is_an_error_event(site: Site, tmp_path: Path) -> None:
    """A missing file, a folder, a device, no journal: it says so, then the stream ends; a pattern in time."""
    for query, code in (
        ({"path": str(tmp_path / "nowhere")}, "not_found"),
        ({"path": str(tmp_path)}, "not_a_file"),
        ({"path": "/dev/zero"}, "path_refused"),
        ({"path": "relative"}, "invalid"),
        ({"source": "journald"}, "no_journal"),
        ({"grep": r"\pL"}, "invalid"),
    ):
        async with site.reading(**query) as events:
            assert await error_of(events) == code, query
    async with site.reading(after="j.s=1") as events:
        assert await error_of(events) == "invalid"


async def test_what_makes_no_sense_is_refused(site: Site) -> None:
    """400 with the field; an unknown agent is 404; a viewer may not."""
    api = site.own.api
    for query, field in (
        ({"source": "journald", "path": "/x"}, "path"),
        ({"source": "file"}, "path"),
        ({"priority": "err"}, "priority"),
        ({"unit": "nginx"}, "unit"),
        ({"since": "5"}, "since"),
        ({"grep": "(a"}, "grep"),
        ({"grep": r"(a)\1"}, "grep"),
        ({"source": "journald", "unit": "a b"}, "unit"),
        ({"source": "journald", "priority": "loud"}, "priority"),
    ):
        answer = await api.ask("GET", site.path(**query), role="operator")
        assert (answer.status, answer.json["fields"].get("field")) == (400, field), query
    for query in ({"source": "syslog"}, {"lines": "-1"}, {"lines": "10001"}, {"grep": "x" * 1001}):
        assert (await api.ask("GET", site.path(**query), role="operator")).status == 400, query
    headers = {"Last-Event-ID": "a b"}
    assert (await api.ask("GET", site.path(), role="operator", headers=headers)).status == 400
    path = site.path().replace(site.agent.id, "agent_00000000000000000000")
    assert (await api.ask("GET", path, role="operator")).status == 404
    assert (await api.ask("GET", site.path(), role="viewer")).status == 403


async def test_the_hosts_own_rules_hold(tmp_path: Path) -> None:
    """A path outside of the policy's roots, and logs at all where it forbids them."""
    async with a_site(tmp_path, rules='file_roots = ["/srv"]\n') as site, site.reading() as events:
        assert await error_of(events) == "path_refused"
    other = tmp_path / "other"
    other.mkdir()
    async with a_site(other, rules='forbid = ["logs"]\n') as site, site.reading() as events:
        assert await error_of(events) == "forbidden"


async def test_rules_that_change_hold_for_who_is_reading(tmp_path: Path) -> None:
    """A file that lies outside of the new roots, and logs once they are forbidden, end within seconds."""
    clock, policy = TurnedClock(), tmp_path / "policy.toml"
    async with a_site(tmp_path, clock=clock) as site:
        async with site.reading(lines="1") as events:
            assert message(await events.next()) == "three"
            policy.write_text('file_roots = ["/srv"]\n')
            await clock.advance(TICK)
            await events.until("away")
            await clock.advance(LOOK_AGAIN)
            await events.until("back")
            assert await error_of(events) == "path_refused"
        policy.write_text("")
        async with site.reading(lines="1") as events:
            assert message(await events.next()) == "three"
            policy.write_text('forbid = ["logs"]\n')
            await clock.advance(TICK)
            assert await error_of(events) == "forbidden"


async def test_the_journal_with_who_and_how_grave(tmp_path: Path, journal_files: JournalFiles) -> None:
    """Filtered by unit and priority, gone on with from a cursor; a unit that is not there is an error."""
    await journal_files.write(
        journal_files.entry("grave", PRIORITY="3"),
        journal_files.entry("chatter"),
        journal_files.entry("worse", PRIORITY="2"),
    )
    async with a_site(tmp_path, journal=journal_files.folder) as site:
        journal = {"source": "journald", "unit": "app"}
        async with site.reading(**journal, priority="warning") as events:
            first = await events.next()
            assert message(first) == "grave"
            assert message(await events.next()) == "worse"
            await journal_files.say("ignored")
            await journal_files.write(journal_files.entry("new", PRIORITY="0"))
            line = await events.next()
            assert line is not None
            told = json.loads(line.data)
        assert (told["message"], told["priority"], told["pid"], told["unit"]) == ("new", 0, 42, "app.service")
        assert first is not None
        async with site.reading(**journal, after=first.id, follow="false") as events:
            told = [message(event) for event in (await events.rest())[:-1]]
        assert told == ["chatter", "worse", "ignored", "new"]
        async with site.reading(source="journald", unit="nosuch") as events:
            assert await error_of(events) == "no_such_unit"


async def test_who_reads_is_audited_once(site: Site) -> None:
    """What is read is named, not shown; going on is no new reading, beginning in the middle is."""
    async with site.reading(lines="1", follow="false") as events:
        last = (await events.rest())[0].id
    async with site.reading(after=last, follow="false") as events:
        await events.rest()
    entries = (await site.own.api.get("/api/audit?action=logs.read"))["entries"]
    assert [(entry["subject"], entry["actor"]["name"]) for entry in entries] == [
        (site.agent.id, "the_operator")
    ]
    assert entries[0]["data"]["path"] == str(site.file)
    assert "three" not in json.dumps(entries)
    other = site.file.with_name("other.log")
    other.write_text("one\n")
    async with site.reading(path=str(other), after="f.0.0.00000000.0", follow="false") as events:
        assert [event.event for event in await events.rest()] == ["notice", "message", "end"]
    entries = (await site.own.api.get("/api/audit?action=logs.read"))["entries"]
    assert [entry["data"]["path"] for entry in entries] == [str(other), str(site.file)]


async def test_a_host_that_is_away_is_a_conflict(tmp_path: Path) -> None:
    """409 before anything is read."""
    async with own_center(tmp_path / "center") as own:
        agent = await enrol(own.api)
        path = f"{agent.path}/stream/logs?source=journald"
        answer = await own.api.ask("GET", path, role="operator")
        assert (answer.status, answer.code) == (409, "host_away")


async def test_a_stream_that_breaks_goes_on_by_itself(tmp_path: Path) -> None:
    """`away` says so, `back` that it goes on; not a line is missing or told twice."""
    clock = TurnedClock()
    async with a_site(tmp_path, clock=clock) as site, site.reading(lines="1") as events:
        assert message(await events.next()) == "three"
        for number in range(3):
            site.host.end_all("The agent has stopped.")
            away = await events.next()
            assert away is not None
            assert away.event == "away"
            site.add(f"meanwhile {number}\n")
            await clock.advance(LOOK_AGAIN)
            back = await events.next()
            assert back is not None
            assert (back.event, back.id) == ("back", away.id)
            assert message(await events.next()) == f"meanwhile {number}"


async def test_a_reader_of_what_is_new_goes_on_where_it_began(tmp_path: Path) -> None:
    """With nothing of the past and nothing written yet, what comes while the host is away is not missing."""
    clock = TurnedClock()
    async with a_site(tmp_path, clock=clock) as site, site.reading(lines="0") as events:
        begin = await events.next()
        assert begin is not None
        assert (begin.event, begin.data) == ("begin", "{}")
        site.host.end_all("The agent has stopped.")
        await events.until("away")
        site.add("meanwhile\n")
        await clock.advance(LOOK_AGAIN)
        await events.until("back")
        assert message(await events.next()) == "meanwhile"
        async with site.reading(lines="0", after=begin.id) as again:
            assert message(await again.next()) == "meanwhile"


async def test_a_host_that_is_deleted_meanwhile_ends_it(tmp_path: Path) -> None:
    """With an error that says so."""
    clock = TurnedClock()
    async with a_site(tmp_path, clock=clock) as site, site.reading(lines="1") as events:
        assert message(await events.next()) == "three"
        assert (await site.own.api.ask("DELETE", site.agent.path)).status == 200
        await events.until("away")
        await clock.advance(LOOK_AGAIN)
        (error,) = await events.rest()
        assert (error.event, json.loads(error.data)["code"]) == ("error", "not_found")


async def test_a_reader_that_stops_reading_is_told_what_it_missed(site: Site) -> None:
    """What it got and what it was told was left out are all the lines there were, in order."""
    count, line = 300_000, "x" * 140
    async with site.reading(lines="1") as events:
        assert message(await events.next()) == "three"
        with site.file.open("a") as file:
            file.writelines(f"{number} {line}\n" for number in range(count))
        seen = left_out = 0
        while seen + left_out < count:
            event = await events.next()
            assert event is not None
            if event.event == "gap":
                left_out += json.loads(event.data)["lines"]
            else:
                assert message(event).split(" ")[0] == str(seen + left_out)
                seen += 1
    assert left_out > count // 4


async def test_a_reader_that_stops_reading_is_ended_with_its_session(tmp_path: Path) -> None:
    """It holds nothing on the host any more, though it never comes to see the end."""
    clock = TurnedClock()
    async with a_site(tmp_path, clock=clock) as site:
        site.file.write_text(("x" * LONGEST_LINE + "\n") * MAX_LINES)
        headers = {"Authorization": f"Bearer {site.own.tokens['operator']}"}
        asked = site.own.url + site.path(lines=str(MAX_LINES))
        async with site.own.api.session.get(asked, headers=headers) as answer:
            assert answer.status == 200
            await answer.content.readany()
            await site.logs.until_stuck()
            await site.own.api.post("/api/logout", role="operator")
            await clock.advance(CONFIRMED_EVERY)
            await clock.advance(TAKEN_WITHIN)
            while len(site.own.center.host_streams):
                await clock.settle()


async def test_leaving_leaves_nothing(site: Site) -> None:
    """A reader that hangs up ends the host's reading as well; the suite's guards find what is left."""
    for _ in range(5):
        async with site.reading(lines="1") as events:
            assert message(await events.next()) == "three"
            events.close()
    while len(site.own.center.host_streams):
        site.add("more\n")
        await site.own.api.get("/healthz")
