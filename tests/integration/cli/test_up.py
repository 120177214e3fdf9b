"""`outrider up`: a real center and a real agent on this machine."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.cli.program import PROGRAM, Program


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Machine:
    """A running `outrider up`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def hear(self, words: str) -> str:
        """Wait for a line with these words."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}: {self.said}")

    async def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    def child(self, name: str) -> int:
        """The pid of one of its two daemons."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in children:
            if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(f"outrider\0{name}\0".encode()):
                return int(pid)
        raise AssertionError(f"no {name} among {children}")


@asynccontextmanager
async def up(home: Path, port: int) -> AsyncIterator[Machine]:
    """Start it with this data folder and port."""
    settings = {
        "OUTRIDER_HOME": str(home),
        "OUTRIDER_LISTEN": f"127.0.0.1:{port}",
        "OUTRIDER_CLIENT_API_PORT": str(free_port()),
        "OUTRIDER_EDGE_API_LISTEN": "",
    }
    program = Program(home / "config", settings)
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        "up",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=program.environ,
    )
    machine = Machine(process)
    try:
        yield machine
    finally:
        if process.returncode is None:
            await machine.stop()


async def test_one_command_gives_a_center_with_a_live_agent(tmp_path: Path) -> None:
    """Address and password are said, the agent comes up and a command runs; later no password is said."""
    port = free_port()
    async with up(tmp_path, port) as machine:
        await machine.hear(f"center: ready at http://127.0.0.1:{port}")
        password = (await machine.hear("password")).split()[1]
        await machine.hear("agent: ready")
        program = Program(tmp_path / "config")
        url = f"http://127.0.0.1:{port}"
        login = await program.run("login", url, "--password-stdin", stdin=f"{password}\n".encode())
        assert login.code == 0
        agent = re.findall(r"agent_\w+", (await program.run("agents")).out)[0]
        ran = await program.run("exec", agent, "echo out; echo err >&2; exit 5")
        assert (ran.code, ran.out, ran.err) == (5, "out\n", "err\n")
        assert await machine.stop() == 0
    async with up(tmp_path, port) as machine:
        await machine.hear("agent: ready")
        assert not any("password" in line for line in machine.said)
        agents = (await program.run("agents")).out
        assert re.findall(r"agent_\w+", agents) == [agent]
        assert await machine.stop() == 0


async def test_a_daemon_that_dies_is_started_again(tmp_path: Path) -> None:
    """The center and the agent each come back after kill -9, and what happened is said."""
    async with up(tmp_path, free_port()) as machine:
        await machine.hear("agent: ready")
        os.kill(machine.child("agent"), signal.SIGKILL)
        await machine.hear("agent: ended with SIGKILL, starting it again")
        await machine.hear("agent: ready")
        os.kill(machine.child("center"), signal.SIGKILL)
        await machine.hear("center: ended with SIGKILL, starting it again")
        await machine.hear("center: ready again")
        assert await machine.stop() == 0


async def test_a_taken_port_stops_it_with_the_reason(tmp_path: Path) -> None:
    """A start that can't work ends at once and names the address; nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with up(tmp_path, port) as machine:
            await machine.hear(str(port))
            await machine.hear("stopped")
            assert await machine.process.wait() != 0


async def test_its_own_death_ends_both_daemons(tmp_path: Path) -> None:
    """After kill -9 of the launcher neither daemon stays behind."""
    async with up(tmp_path, free_port()) as machine:
        await machine.hear("agent: ready")
        machine.process.kill()
        # Both daemons hold standard output: its end is theirs.
        assert machine.process.stdout is not None
        await machine.process.stdout.read()
