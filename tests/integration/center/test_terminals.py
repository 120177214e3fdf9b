"""Terminals through the real center, to the real agent: opened, cut, come back to, ended, recorded."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from outrider.center.blobs.contract import Blobs
from outrider.center.http.event_streams import CONFIRMED_EVERY
from outrider.center.store.retention import Keep, Retention
from outrider.center.terminal.recording import PREFIX, RecordingMode, parts_of
from outrider.center.terminal.service import GIVEN_UP_AFTER
from outrider.domain.terminals import MAX_SIDE
from outrider.engines.commands.processes import read_stat
from outrider.testing.agent import AgentProcess
from tests.fixtures.api import PATIENCE
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.proxy import Proxy
from tests.fixtures.terminals import Window, eventually, real_host, record_terminals, refused, window


class Lab:
    """A center and a host."""

    def __init__(self, own: OwnCenter, agent: AgentProcess, agent_id: str, proxy: Proxy) -> None:
        self.own = own
        self.api = own.api
        self.agent = agent
        self.agent_id = agent_id
        #: Between the host and the center.
        self.proxy = proxy

    async def row(self, terminal_id: str) -> Any:
        """How the center lists a terminal."""
        return next(row for row in await self.api.get("/api/terminals") if row["id"] == terminal_id)

    async def until(self, terminal_id: str, field: str) -> Any:
        """Wait until this is set."""
        return await eventually(lambda: self.row(terminal_id), lambda row: row[field] is not None)

    async def audited(self, terminal_id: str) -> list[str]:
        """What the audit log has of a terminal, oldest first."""
        answer = await self.api.get(f"/api/audit?subject={terminal_id}&order=asc")
        return [entry["action"] for entry in answer["entries"]]


@asynccontextmanager
async def laboratory(folder: Path) -> AsyncIterator[Lab]:
    """A center with a host behind a proxy."""
    async with own_center(folder / "center") as own:
        port = int(own.url.rpartition(":")[2])
        async with (
            Proxy(port) as proxy,
            real_host(own.api, folder / "agent", f"http://127.0.0.1:{proxy.port}") as (agent, agent_id),
        ):
            yield Lab(own, agent, agent_id, proxy)


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A center with a host behind a proxy."""
    async with laboratory(tmp_path) as lab:
        yield lab


def _lives(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and not stat.is_dead


async def ready(shell: Window) -> None:
    """Wait until the shell has read its start-up files."""
    await shell.type("echo r''eady\r")
    await shell.see(r"ready\r\n")


async def test_a_shell_in_a_window(lab: Lab) -> None:
    """Typed, shown, resized, interrupted; its exit code is told, and the audit log knows of it."""
    async with window(lab.api, lab.agent_id, cols=90, rows=33, term="vt100") as shell:
        await shell.type("stty size; echo $TERM\r")
        await shell.see(r"33 90\r\nvt100")
        await shell.resize(71, 17)
        await shell.type("PS1='pro''mpt '; stty size; cat\r")
        await shell.see(r"17 71\r\n")
        await shell.type("here\r")
        await shell.see(r"here\r\nhere\r\n")  # it runs in the foreground
        await shell.type("\x03")
        await shell.see(r"prompt ")  # until then the shell throws away what is typed
        await shell.type("exit 9\r")
        assert (await shell.hear("ended"))["exit_code"] == 9
    row = await lab.until(shell.id, "ended")
    assert (row["exit_code"], row["account"], row["username"]) == (9, "root", "the_operator")
    assert row["bytes_out"] == shell.seen
    assert row["bytes_in"] > 20
    entries = (await lab.api.get(f"/api/audit?subject={shell.id}&order=asc"))["entries"]
    assert [entry["action"] for entry in entries] == ["terminal.open", "terminal.end"]
    assert entries[0]["actor"]["name"] == entries[1]["actor"]["name"] == "the_operator"
    assert entries[0]["data"]["agent_id"] == lab.agent_id
    assert entries[1]["data"]["exit_code"] == 9
    assert entries[1]["data"]["seconds"] >= 0


async def test_who_is_not_let_in(lab: Lab) -> None:
    """Handshakes are refused as requests are: with a problem document, before there is any terminal."""
    found = {
        "viewer": await refused(lab.api, lab.agent_id, "viewer"),
        "expired": await refused(lab.api, lab.agent_id, "expired"),
        "nobody": await refused(lab.api, "agent_00000000000000000000"),
        "too wide": await refused(lab.api, lab.agent_id, cols=MAX_SIDE + 1),
        "a bad name": await refused(lab.api, lab.agent_id, term="x\n"),
        "no such user": await refused(lab.api, lab.agent_id, user="no-such-user"),
        "no such terminal": await refused(lab.api, lab.agent_id, terminal="term_000000000000"),
    }
    assert {name: (answer.status, answer.code) for name, answer in found.items()} == {
        "viewer": (403, "forbidden"),
        "expired": (401, "unauthenticated"),
        "nobody": (404, "not_found"),
        "too wide": (400, "invalid"),
        "a bad name": (400, "invalid"),
        "no such user": (400, "invalid"),
        "no such terminal": (404, "not_found"),
    }
    plain = await lab.api.ask("GET", f"/api/agents/{lab.agent_id}/terminal", role="operator")
    assert (plain.status, plain.code, plain.headers["Upgrade"]) == (426, "upgrade_required", "websocket")
    assert await lab.api.get("/api/terminals") == []


async def test_only_the_centers_own_pages_open_terminals(lab: Lab) -> None:
    """A browser says which page asks; another site's is refused, also with a token that counts."""
    with pytest.raises(Exception, match="403"):
        async with window(lab.api, lab.agent_id, headers={"Origin": "https://evil.example"}):
            pass
    with pytest.raises(Exception, match="403"):
        async with window(lab.api, lab.agent_id, headers={"Origin": "null"}):
            pass
    async with window(lab.api, lab.agent_id, headers={"Origin": lab.own.url}) as shell:
        await ready(shell)
        await shell.leave()


async def test_a_browser_shows_a_stream_token(lab: Lab) -> None:
    """In the address, since it can't set headers; it counts once."""
    token = (await lab.api.post("/api/stream-token", role="operator"))["token"]
    address = f"{lab.api.url}/api/agents/{lab.agent_id}/terminal"
    async with lab.api.session.ws_connect(address, params={"token": token}) as socket:
        shell = Window(socket)
        await shell.hear("opened")
        await ready(shell)
        await shell.leave()
    with pytest.raises(Exception, match="401"):
        await lab.api.session.ws_connect(address, params={"token": token})


async def test_a_cut_window_is_come_back_to(lab: Lab) -> None:
    """By its person alone, with what they missed; the newest window counts."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        await shell.type("(sleep 0.5; echo mis''sed) &\r")
        await shell.see(r"\[1\]")
        seen = shell.seen
        shell.cut()
    await lab.until(shell.id, "detached")
    assert (await refused(lab.api, lab.agent_id, "admin", terminal=shell.id)).status == 404
    async with window(lab.api, lab.agent_id, terminal=shell.id, seen=seen) as again:
        assert again.id == shell.id
        await again.see(r"missed")
        async with window(lab.api, lab.agent_id, terminal=shell.id, seen=again.seen) as newer:
            assert (await again.hear("cut"))["again"] is False
            await newer.type("exit 3\r")
            assert (await newer.hear("ended"))["exit_code"] == 3
    over = await refused(lab.api, lab.agent_id, terminal=shell.id)
    assert (over.status, over.code) == (409, "terminal_over")
    assert await lab.audited(shell.id) == [
        "terminal.open",
        "terminal.return",
        "terminal.return",
        "terminal.end",
    ]


async def test_a_cut_link_of_the_host(lab: Lab) -> None:
    """The person is told, and comes back when the host has dialled again."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        lab.proxy.cut()
        assert (await shell.hear("cut"))["again"] is True
    await eventually(
        lambda: refused(lab.api, lab.agent_id, terminal=shell.id), lambda answer: answer.status == 101
    )
    async with window(lab.api, lab.agent_id, terminal=shell.id, seen=shell.seen) as again:
        await again.type("echo $$; exit\r")
        await again.hear("ended")


async def test_a_window_that_is_left_ends_the_terminal(lab: Lab) -> None:
    """On purpose, that is: with a normal close."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        await shell.leave()
    row = await lab.until(shell.id, "ended")
    assert row["reason"] == "Its person left it."
    assert row["signal"] == 1 or row["exit_code"] is not None


async def test_a_terminal_ends_with_the_session(lab: Lab) -> None:
    """Within seconds of the logout; the shell too."""
    async with window(lab.api, lab.agent_id) as shell:
        await shell.type("echo $$:p''id\r")
        pid = int((await shell.see(r"(\d+):pid"))[1])
        await lab.api.post("/api/logout", role="operator")
        async with asyncio.timeout(CONFIRMED_EVERY + 10):
            assert "session" in (await shell.hear("ended"))["reason"]
    row = await lab.until(shell.id, "ended")
    assert "session" in row["reason"]
    assert not _lives(pid)


async def test_who_may_list_and_end_them(lab: Lab) -> None:
    """Operators their own, administrators all."""
    async with (
        window(lab.api, lab.agent_id, "operator") as mine,
        window(lab.api, lab.agent_id, "admin") as other,
    ):
        await ready(mine)
        await ready(other)

        async def listed(role: str, query: str = "") -> set[str]:
            return {row["id"] for row in await lab.api.get(f"/api/terminals{query}", role=role)}

        assert await listed("operator") == {mine.id}
        assert await listed("admin") == {mine.id, other.id}
        assert await listed("admin", "?user=the_operator") == {mine.id}
        assert await listed("operator", "?user=the_admin") == set()
        assert await listed("admin", f"?agent={lab.agent_id}&open=true&limit=1") == {other.id}
        assert await listed("admin", "?open=false") == set()
        assert (await lab.api.ask("DELETE", f"/api/terminals/{other.id}", role="operator")).status == 404
        ended = await lab.api.ask("DELETE", f"/api/terminals/{mine.id}", role="admin")
        assert (ended.status, ended.json) == (200, {"status": "ended"})
        assert (await mine.hear("ended"))["reason"] == "It was ended by the_admin."
        again = await lab.api.ask("DELETE", f"/api/terminals/{mine.id}", role="admin")
        assert (again.status, again.code) == (409, "terminal_over")
        other.cut()
        await lab.until(other.id, "detached")
        assert (await lab.api.ask("DELETE", f"/api/terminals/{other.id}", role="admin")).status == 200
        assert (await lab.row(other.id))["ended"] is not None
    assert (await lab.api.ask("DELETE", "/api/terminals/term_nothing")).status == 404


async def test_a_killed_agent_takes_its_terminals_along(lab: Lab) -> None:
    """Its person is told; what ignored the kernel's word is ended when the agent starts again."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        await shell.type("(trap '' HUP; exec sleep 4321) & echo $!:p''id\r")
        pid = int((await shell.see(r"(\d+):pid"))[1])
        await lab.agent.kill()
        assert (await shell.hear("cut"))["again"] is True
    assert _lives(pid)
    await lab.agent.start()
    await lab.agent.logged("ended what a killed agent left of its terminals")
    assert not _lives(pid)
    answer = await eventually(
        lambda: refused(lab.api, lab.agent_id, terminal=shell.id),
        lambda answer: answer.code != "host_away",
    )
    assert (answer.status, answer.code) == (409, "terminal_over")
    assert (await lab.row(shell.id))["ended"] is not None


async def test_an_agent_that_stops_says_so(lab: Lab) -> None:
    """The terminal is over: a restart in place ends it, too."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        await lab.agent.stop()
        assert "stopped or restarted" in (await shell.hear("ended"))["reason"]
    await lab.agent.start()


async def test_a_reader_that_stops_holds_the_shell(lab: Lab) -> None:
    """All the way: what a flood writes stays on the host until it is read; then nothing is missing."""
    async with window(lab.api, lab.agent_id, command="seq 1 2000000; read x") as shell:
        await shell.see(r"1\r\n2\r\n")
        place = lab.own.center.terminals._places[shell.id]  # type: ignore[index]  # noqa: SLF001 - nothing else tells how far it is
        before = -1
        while place.offset != before:
            before = place.offset
            await asyncio.sleep(0.3)
        # What the sockets' buffers on this machine take, and no more.
        assert before < 12_000_000
        await shell.see_end(b"\r\n2000000\r\n")
        await shell.leave()


async def test_nobody_comes_back(lab: Lab) -> None:
    """The center writes down that it is over, also when it was restarted meanwhile."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        shell.cut()
    row = await lab.until(shell.id, "detached")
    service = lab.own.center.terminals
    service._clock = _Later(row["detached"] + GIVEN_UP_AFTER + 1)  # type: ignore[assignment]  # noqa: SLF001 - the host's minute is real
    await service.sweep()
    assert "minute" in (await lab.row(shell.id))["reason"]


class _Later:
    def __init__(self, now: float) -> None:
        self._now = now

    def time(self) -> float:
        return self._now


async def _recorded(lab: Lab, terminal_id: str) -> list[Any]:
    answer = await lab.api.ask("GET", f"/api/terminals/{terminal_id}/recording")
    assert answer.headers["Content-Type"] == "application/x-asciicast"
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("mode", [RecordingMode.OUTPUT, RecordingMode.ALL])
async def test_a_recording(lab: Lab, mode: RecordingMode) -> None:
    """An asciicast with what was shown and, only where that is wanted, what was typed; over cuts, too."""
    await record_terminals(lab.api, mode)
    async with window(lab.api, lab.agent_id, cols=88, rows=22) as shell:
        await ready(shell)
        await shell.type("stty -echo; echo go; read pass; echo g''ot\r")
        await shell.see(r"\rgo\r\n")
        await shell.type("s3cret\r")
        await shell.see(r"got\r\n")
        await shell.resize(40, 10)
        shell.cut()
    await lab.until(shell.id, "detached")
    assert len(await parts_of(lab.own.center.terminals._blobs, shell.id)) > 1  # noqa: SLF001 - the blobs of this center
    async with window(lab.api, lab.agent_id, terminal=shell.id, seen=0) as again:
        await again.see(r"got\r\n")
        await again.type("printf '\\303\\251end'; exit\r")
        await again.hear("ended")
    await lab.until(shell.id, "ended")
    head, *lines = await _recorded(lab, shell.id)
    assert (head["version"], head["width"], head["height"]) == (2, 88, 22)
    shown = "".join(text for _, kind, text in lines if kind == "o")
    typed = "".join(text for _, kind, text in lines if kind == "i")
    assert shown.count("got\r\n") == 1
    assert "éend" in shown
    assert "s3cret" not in shown
    assert ("s3cret" in typed) is (mode is RecordingMode.ALL)
    assert next(text for _, kind, text in lines if kind == "r") == "40x10"
    assert [time for time, _, _ in lines] == sorted(time for time, _, _ in lines)
    blobs = lab.own.center.terminals._blobs  # noqa: SLF001 - the blobs of this center
    assert await eventually(lambda: parts_of(blobs, shell.id), lambda parts: not parts) == []
    assert "terminal.replay" in await lab.audited(shell.id)
    assert (await lab.api.ask("GET", f"/api/terminals/{shell.id}/recording", role="operator")).status == 403


async def test_what_is_not_recorded_has_no_recording(lab: Lab) -> None:
    """404, and nothing of it in the blobs."""
    async with window(lab.api, lab.agent_id) as shell:
        await ready(shell)
        await shell.leave()
    await lab.until(shell.id, "ended")
    assert (await lab.api.ask("GET", f"/api/terminals/{shell.id}/recording")).status == 404


async def test_old_ones_are_removed_with_their_recordings(lab: Lab) -> None:
    """And nothing is left of them in the blobs, also of what lay in parts."""
    center = lab.own.center
    await record_terminals(lab.api, RecordingMode.OUTPUT)
    blobs = center.terminals._blobs  # noqa: SLF001 - the blobs of this center
    for _ in range(2):
        async with window(lab.api, lab.agent_id) as shell:
            await ready(shell)
            await shell.leave()
        await lab.until(shell.id, "ended")
    async with asyncio.timeout(PATIENCE):
        while center.terminals._places:  # noqa: SLF001, ASYNC110 - nothing tells that recordings are put together
            await asyncio.sleep(0.05)
    await blobs.put(f"{PREFIX}/term_gone0000000000/00000000-0", b"left by a center that was killed")
    keep = Keep(terminals=-1.0)
    removed = await Retention(
        center.store, center.clock, keep=keep, forget_blobs=lambda keys: forget(blobs, keys)
    ).run()
    assert (removed.terminals, len(removed.blobs)) == (2, 2)
    assert await lab.api.get("/api/terminals") == []
    await center.terminals.remove_orphans()
    assert [key async for key in blobs.list(PREFIX)] == []


async def forget(blobs: Blobs, keys: Sequence[str]) -> None:
    """Remove blobs by their keys."""
    for key in keys:
        await blobs.delete(key)
