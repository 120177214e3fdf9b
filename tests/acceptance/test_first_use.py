"""The first hour with Outrider, as a person spends it: one program, a terminal, then a second host."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from outrider.kit.tasks import Tasks
from tests.fixtures.processes import STOP_SECONDS, Program, free_port

_PATIENCE = 40.0


class Terminal:
    """A person's terminal: programs in the foreground, and what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        self._environ = {
            **clean,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "NO_COLOR": "1",
            # Others may work on this machine, where these have one port each.
            "OUTRIDER_CLIENT_API_PORT": str(free_port()),
            "OUTRIDER_EDGE_API_LISTEN": f"127.0.0.1:{free_port()}",
        }
        self._home = {
            "OUTRIDER_HOME": str(folder / "home"),
            "OUTRIDER_LISTEN": self.url.removeprefix("http://"),
            "OUTRIDER_POLICY": str(folder / "policy.toml"),
        }

    async def run(self, *words: str, stdin: str = "") -> str:
        """Run a word of the program to its end and return what it printed. It must succeed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "outrider",
            *words,
            env=self._environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_PATIENCE):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def agents(self) -> list[dict[str, Any]]:
        """List the agents."""
        listed: list[dict[str, Any]] = json.loads(await self.run("agents", "--json"))
        return listed

    @asynccontextmanager
    async def up(self) -> AsyncIterator["Up"]:
        """Run `outrider up` until the block ends, and stop it with Ctrl-C."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "outrider",
            "up",
            env={**self._environ, **self._home},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with Tasks("terminal") as tasks:
                up = Up(process)
                reading = tasks.start("read", up.read())
                yield up
                process.send_signal(signal.SIGINT)
                async with asyncio.timeout(2 * STOP_SECONDS):
                    assert await process.wait() in (0, 130)
                    await reading
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Up:
    """`outrider up` in the foreground."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Read what it prints, to the end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self.lines.append(line.decode().rstrip())
                self._changed.notify_all()

    @property
    def text(self) -> str:
        """All that it has printed."""
        return "\n".join(self.lines)

    async def until(self, holds: Callable[[str], bool]) -> None:
        """Return once `holds(text)`."""
        try:
            async with asyncio.timeout(_PATIENCE), self._changed:
                await self._changed.wait_for(lambda: holds(self.text))
        except TimeoutError:
            raise AssertionError(f"this did not say it:\n{self.text}") from None

    async def ready(self) -> None:
        """Return once center and agent are there."""
        await self.until(lambda text: "agent: ready" in text)


async def _pause_here(terminal: Terminal) -> None:
    """The agent of this machine serves its API from the start on: it is paused, and seen to be."""
    home = ("--home", str(terminal.folder / "home"))
    assert await terminal.run("agent", "pause", *home) == "Paused.\n"
    while "online, paused" not in await terminal.run("agents"):
        pass
    assert await terminal.run("agent", "resume", *home) == "Resumed.\n"


async def test_one_command_brings_up_all(folder: Path) -> None:
    """Address and password are printed once; the machine is there, works, and is joined once only."""
    terminal = Terminal(folder)
    async with terminal.up() as up:
        await up.ready()
        assert terminal.url in up.text
        (password,) = re.findall(r"password +(\S+)", up.text)
        await terminal.run("login", terminal.url, "-u", "admin", "--password-stdin", stdin=f"{password}\n")
        (here,) = await terminal.agents()
        assert here["status"] == "online"
        out = await terminal.run("exec", here["id"], "df -h / | head -1")
        assert out.startswith("Filesystem")
        await _pause_here(terminal)
        await _second_host(terminal)
    async with terminal.up() as up:
        await up.ready()
        assert "password" not in up.text
        assert password not in up.text
        first, second = await terminal.agents()
        assert (first["id"], second["label"]) == (here["id"], "second")
        await terminal.run("agents", "delete", "--yes", here["id"])
    async with terminal.up() as up:
        await up.until(lambda text: "center: ready" in text)
        await up.until(lambda text: "deleted" in text.lower())
        assert here["id"] not in [agent["id"] for agent in await terminal.agents()]


async def _second_host(terminal: Terminal) -> None:
    """Start an agent by hand: it is pending, is approved, and answers."""
    key = (await terminal.run("keys", "new")).strip()
    home = terminal.folder / "second"
    settings = {"home": str(home), "center_url": terminal.url, "enrolment_key": key, "label": "second"}
    agent = Program("agent", settings, log=terminal.folder / "second.log")
    try:
        await agent.start()
        async with asyncio.timeout(_PATIENCE):
            # A person looks again and again; each look is a program that takes its time.
            while not (found := [each for each in await terminal.agents() if each["label"] == "second"]):
                continue
        assert found[0]["status"] == "pending"
        await terminal.run("approve", "second")
        await agent.ready()
        assert await terminal.run("exec", "second", "echo here") == "here\n"
        assert await agent.stop() == 0
    finally:
        await agent.discard()
