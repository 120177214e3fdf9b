"""`outrider shell` on a terminal of its own, through the real center, to the real agent."""

import asyncio
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from outrider.domain.profiles import DEFAULT
from outrider.domain.terminals import MAX_SIDE
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.proxy import Proxy
from tests.fixtures.terminals import eventually, real_host
from tests.integration.cli.program import Program
from tests.integration.cli.terminal import CTRL_C, Terminal, terminal


class Desk:
    """A person's program, a center behind a proxy, and a host."""

    def __init__(self, own: OwnCenter, proxy: Proxy, agent_id: str, program: Program) -> None:
        self.own = own
        self.proxy = proxy
        self.agent_id = agent_id
        self.program = program

    def shell(self, *words: str) -> tuple[str, ...]:
        """The words of the command line."""
        return ("shell", self.agent_id, *words)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """All of it; the operator is signed in."""
    async with (
        own_center(tmp_path / "center") as own,
        real_host(own.api, tmp_path / "agent") as (_, agent_id),
        Proxy(int(own.url.rpartition(":")[2])) as proxy,
    ):
        program = Program(tmp_path / "config")
        saved = SavedCenter(
            url=f"http://127.0.0.1:{proxy.port}", username="the_operator", token=own.tokens["operator"]
        )
        centers.save(centers.default_path(program.environ), Centers(current="lab", centers={"lab": saved}))
        yield Desk(own, proxy, agent_id, program)


def modes(screen: Terminal) -> list[object]:
    """How the person's own terminal is set."""
    return list(termios.tcgetattr(screen._master))[:4]  # noqa: SLF001 - the test's own terminal


async def ready(screen: Terminal) -> None:
    """Wait until the remote shell has read its start-up files."""
    screen.type("echo r''eady\r")
    await screen.see("ready\r\n")


async def test_a_shell_from_end_to_end(desk: Desk) -> None:
    """Sized like the window, resized with it; Ctrl-C goes to the host; it ends with the shell's exit code."""
    async with terminal(desk.program, *desk.shell(), columns=101) as screen:
        before = modes(screen)
        await ready(screen)
        assert modes(screen) != before
        screen.type("stty size; echo $TERM\r")
        await screen.see("40 101\r\nxterm-256color\r\n")
        screen.resize(87)
        screen.type("until [ \"$(stty size)\" = '40 87' ]; do sleep 0.05; done; echo re''sized\r")
        await screen.see("resized\r\n")
        # What it says stands for the line editor being gone: until then a return key is no line's end.
        screen.type("PS1='pro''mpt '; echo be''gun; cat\r")
        await screen.see("begun\r\n")
        screen.type("here\r")
        await screen.see("here\r\nhere\r\n")
        screen.type(CTRL_C)
        await screen.see("prompt ")  # until then the shell throws away what is typed
        screen.type("echo t''~; exit 42\r")
        await screen.see("t~\r\n")
        assert await screen.end() == 42
        assert modes(screen) == before


async def test_a_command_in_place_of_a_prompt(desk: Desk) -> None:
    """Its words are kept whole, its exit code is ours; a signal is 128 and its number."""
    async with terminal(desk.program, *desk.shell("--", "printf", "<%s>", "a b", "-c")) as screen:
        await screen.see("<a b><-c>")
        assert await screen.end() == 0
    async with terminal(desk.program, *desk.shell("--", "kill -TERM $$")) as screen:
        assert await screen.end() == 128 + 15


async def test_leaving_ends_the_terminal(desk: Desk) -> None:
    """`~.` at the begin of a line; `~?` helps. The own terminal is as before."""
    async with terminal(desk.program, *desk.shell()) as screen:
        before = modes(screen)
        await ready(screen)
        screen.type("~?")
        await screen.see("leave: the terminal ends")
        screen.type("\r~.")
        assert await screen.end() == 130
        assert modes(screen) == before
    rows = await eventually(lambda: desk.own.api.get("/api/terminals"), lambda rows: rows[0]["ended"])
    assert rows[0]["reason"] == "Its person left it."


async def test_a_cut_connection_is_come_back_to(desk: Desk) -> None:
    """By itself, with what was shown meanwhile, in the same shell."""
    async with terminal(desk.program, *desk.shell()) as screen:
        await ready(screen)
        screen.type("mark=still; (sleep 1; echo mean''while) &\r")
        await screen.see("[1]")
        desk.proxy.refuse(on=True)
        desk.proxy.cut()
        await screen.see("[outrider: cut off:")
        await asyncio.sleep(1.2)  # the host says something meanwhile
        desk.proxy.refuse(on=False)
        await screen.see("[outrider: Back.]")
        await screen.see("meanwhile\r\n")
        screen.type("echo $mark-here; exit 5\r")
        await screen.see("still-here\r\n")
        assert await screen.end() == 5
        assert screen.shown.count("meanwhile\r\n") == 1


async def test_giving_up_says_how_to_come_back(desk: Desk) -> None:
    """And the id brings a later program back to the same shell, with what it showed before."""
    async with terminal(desk.program, *desk.shell()) as screen:
        await ready(screen)
        screen.type("mark=kept\r")
        await screen.see("mark=kept")
        desk.proxy.refuse(on=True)
        desk.proxy.cut()
        await screen.see("[outrider: cut off:")
        screen.type(CTRL_C)
        await screen.see("--reattach ")
        assert await screen.end() == 130
    desk.proxy.refuse(on=False)
    (row,) = await desk.own.api.get("/api/terminals")
    async with terminal(desk.program, *desk.shell("--reattach", row["id"])) as screen:
        await screen.see("ready\r\n")
        screen.type("echo $mark; exit\r")
        await screen.see("kept\r\n")
        assert await screen.end() == 0
    async with terminal(desk.program, *desk.shell("--reattach", row["id"])) as screen:
        await screen.see("is over")
        assert await screen.end() == 125


async def test_it_wants_a_terminal(desk: Desk) -> None:
    """In a script it refuses, and names what scripts use."""
    ended = await desk.program.run(*desk.shell())
    assert ended.code == 125
    assert "outrider exec" in ended.err


async def test_who_may_not_is_told(desk: Desk) -> None:
    """Before the terminal is touched; an agent nobody knows, too."""
    async with terminal(desk.program, "shell", "nowhere") as screen:
        await screen.see("No agent has the id")
        assert await screen.end() == 125
    async with terminal(desk.program, *desk.shell("--user", "no-such-user")) as screen:
        before = modes(screen)
        await screen.see("no-such-user")
        assert await screen.end() == 125
        assert modes(screen) == before


async def test_a_terminal_larger_than_any(desk: Desk) -> None:
    """Is taken as the largest that there is."""
    async with terminal(desk.program, *desk.shell("--", "stty size"), columns=MAX_SIDE + 500) as screen:
        await screen.see(f"40 {MAX_SIDE}")
        assert await screen.end() == 0


async def test_terminals_are_listed_ended_and_replayed(desk: Desk) -> None:
    """With who had them, and for how long."""
    admin = SavedCenter(url=desk.own.url, username="the_admin", token=desk.own.tokens["admin"])
    path = centers.default_path(desk.program.environ)
    known = centers.load(path)
    centers.save(path, Centers(current="lab", centers={**known.centers, "boss": admin}))
    params = {"params": {"terminal_recording": "output"}}
    await desk.own.api.ask("PATCH", f"/api/profiles/{DEFAULT}", params)
    async with terminal(desk.program, *desk.shell()) as screen:
        await ready(screen)
        listed = await desk.program.run("terminals", "--open")
        assert "the_operator" in listed.out
        assert "open" in listed.out
        (row,) = await desk.own.api.get("/api/terminals")
        ended = await desk.program.run("terminals", "end", row["id"], "--center", "boss")
        assert ended.code == 0, ended
        await screen.see("ended by the_admin")
        await screen.end()
    replayed = await desk.program.run("terminals", "replay", row["id"], "--center", "boss", "--speed", "1000")
    assert replayed.code == 0, replayed
    assert "ready\r\n" in replayed.out
    assert (await desk.program.run("terminals", "replay", row["id"])).code == 4
    assert "ended" in (await desk.program.run("terminals")).out
