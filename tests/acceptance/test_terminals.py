"""`outrider shell` on a terminal, while the processes between it and the shell die."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from outrider.domain.terminals import KEPT_SECONDS
from outrider.engines.commands.processes import read_stat
from tests.acceptance.fleet import PASSWORD, Fleet, Host
from tests.fixtures.terminals import PLAIN_HOME, eventually
from tests.integration.cli.program import Program
from tests.integration.cli.terminal import Terminal, terminal


@asynccontextmanager
async def shell(fleet: Fleet, host: Host, url: str, *words: str) -> AsyncIterator[Terminal]:
    """A person who has signed in at `url` and opened a shell that has read its start-up files."""
    program = Program(fleet.folder / "config")
    login = ("login", url, "-u", "admin", "--password-stdin", *words)
    signed_in = await program.run(*login, stdin=f"{PASSWORD}\n".encode())
    assert signed_in.code == 0, signed_in
    async with asyncio.timeout(2 * KEPT_SECONDS):
        async with terminal(program, "shell", host.name) as screen:
            screen.type("echo r''eady\r")
            await screen.see("ready\r\n")
            yield screen


async def pid_of(screen: Terminal, command: str) -> int:
    """Type a line that ends by telling a process's number, and return it."""
    screen.type(f"{command}:p''id\r")
    await screen.see(":pid\r\n")
    return int(re.findall(r"(\d+):pid", screen.shown)[-1])


def lives(pid: int) -> bool:
    """Whether this process runs."""
    stat = read_stat(pid)
    return stat is not None and not stat.is_dead


async def the_terminal(fleet: Fleet) -> Any:
    """The one terminal, as the center lists it."""
    (row,) = await fleet.api.call("GET", "/terminals")
    return row


async def test_a_killed_center_is_come_back_to(fleet: Fleet) -> None:
    """With kill -9, twice: by itself, to the same shell; nothing is missed or repeated."""
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web")
    async with shell(fleet, host, fleet.url()) as screen:
        pid = await pid_of(screen, "echo $$")
        for round_ in range(2):
            screen.type(f"(sleep 2; echo mean''while-{round_}) &\r")
            await screen.see("&\r\n")
            await fleet.center.kill()
            await screen.see("[outrider: cut off:")
            await fleet.center.start()
            await screen.see("[outrider: Back.]")
            await screen.see(f"meanwhile-{round_}\r\n")
        assert await pid_of(screen, "echo $$") == pid
        screen.type("exit 7\r")
        assert await screen.end() == 7
        assert [screen.shown.count(f"meanwhile-{round_}\r\n") for round_ in range(2)] == [1, 1]
    row = await eventually(lambda: the_terminal(fleet), lambda row: row["ended"])
    assert (row["exit_code"], row["account"]) == (7, "root")
    entries = (await fleet.api.call("GET", f"/audit?subject={row['id']}&order=asc"))["entries"]
    assert [entry["action"] for entry in entries] == [
        "terminal.open",
        "terminal.return",
        "terminal.return",
        "terminal.end",
    ]


async def test_over_tls(fleet: Fleet, tmp_path: Path) -> None:
    """From the person to the center and from the host to it; cut by the center's death as well."""
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web")
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{fleet.url()}/api/ca") as answer,
    ):
        ca = tmp_path / "ca.pem"
        ca.write_bytes(await answer.read())
    async with shell(fleet, host, fleet.url(tls=True), "--ca", str(ca)) as screen:
        screen.type("seq 1 100000 | tail -n 3; seq 1 100000; echo l''ast\r")
        await screen.see("99999\r\n100000\r\nlast\r\n")
        pid = await pid_of(screen, "echo $$")
        await fleet.center.kill()
        await screen.see("[outrider: cut off:")
        await fleet.center.start()
        await screen.see("[outrider: Back.]")
        assert await pid_of(screen, "echo $$") == pid
        screen.type("exit\r")
        assert await screen.end() == 0


async def test_a_killed_agent_is_told_of(fleet: Fleet) -> None:
    """With kill -9: the program says that the terminal is over; what is left of it ends at the next start."""
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web")
    async with shell(fleet, host, fleet.url()) as screen:
        pid = await pid_of(screen, "(trap '' HUP TERM; exec sleep 4321) & echo $!")
        await host.program.kill()
        await screen.see("[outrider: cut off:")
        assert lives(pid)
        await host.start()
        await screen.see("terminal is over")
        assert await screen.end() == 125
    await eventually(_of(pid), lambda alive: not alive)
    row = await the_terminal(fleet)
    assert (row["exit_code"], row["signal"]) == (None, None)
    assert "restarted" in row["reason"]


def _of(pid: int) -> Any:
    async def look() -> bool:
        return lives(pid)

    return look


@pytest.mark.unhurried
async def test_a_center_that_stays_away(fleet: Fleet) -> None:
    """Nobody is there for a minute: the program gives up and says so, and nothing is left on the host."""
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web")
    async with shell(fleet, host, fleet.url()) as screen:
        pid = await pid_of(screen, "echo $$")
        await fleet.center.kill()
        await screen.see("It could not be come back to within a minute.", patience=1.5 * KEPT_SECONDS)
        assert await screen.end() == 125
        await eventually(_of(pid), lambda alive: not alive)
    await fleet.center.start()
    row = await the_terminal(fleet)
    assert row["ended"] is None or "minute" in row["reason"]
