"""The real agent daemon as a process, for tests that start, kill and restart it."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from outrider.domain.enrolment import new_enrolment_key
from outrider.domain.places import AGENT
from outrider.kit.tasks import Tasks

_PROGRAM: Final = "import sys; from outrider.agent.app import main; sys.exit(main(sys.argv[1:]))"
_END_SECONDS: Final = 15.0
_LOG_SECONDS: Final = 30.0


class AgentProcess:
    """One daemon in one folder; an async context manager that leaves no process behind."""

    def __init__(self, home: Path, center_url: str, *, prefix: Sequence[str] = (), **settings: str) -> None:
        """`settings` become `OUTRIDER_*` variables; `prefix` is a command that becomes the daemon."""
        self.home = home
        self._prefix = prefix
        self.enrolment_key = new_enrolment_key(()).format()
        self._settings: Mapping[str, str] = {
            "home": str(home),
            "center_url": center_url,
            "enrolment_key": self.enrolment_key,
            "policy": str(home / "policy.toml"),
            "edge_api_listen": "",
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._lines: list[str] = []
        self._logged = asyncio.Condition()
        self._tasks = Tasks("agent process")

    async def __aenter__(self) -> Self:
        """Start the daemon."""
        await self._tasks.__aenter__()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the daemon, by force if need be."""
        if self._process is not None:
            await self.stop()
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def folder(self) -> Path:
        """The agent's folder inside the data folder."""
        return self.home / AGENT

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self._running.pid

    @property
    def log(self) -> str:
        """What the daemon has logged so far."""
        return "".join(self._lines)

    def forget_log(self) -> None:
        """Forget what was logged, so that `logged` waits for what comes."""
        self._lines.clear()

    async def logged(self, text: str) -> None:
        """Return once the daemon has logged `text`. Raises TimeoutError."""
        async with asyncio.timeout(_LOG_SECONDS), self._logged:
            await self._logged.wait_for(lambda: text in self.log)

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the daemon is not running")
        return self._process

    async def start(self) -> None:
        """Start the daemon anew in the same folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        ours = {f"OUTRIDER_{name.upper()}": value for name, value in self._settings.items()}
        self._process = await asyncio.create_subprocess_exec(
            *self._prefix,
            sys.executable,
            "-c",
            _PROGRAM,
            env={**kept, **ours},
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=[
                int(self._settings[name]) for name in ("parent_fd", "announce_fd") if name in self._settings
            ],
            stderr=asyncio.subprocess.PIPE,
        )
        if self._process.stderr is not None:
            _ = self._tasks.start("log", self._read_log(self._process.stderr))

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._logged:
                self._lines.append(line.decode("utf-8", "replace"))
                self._logged.notify_all()

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        self._running.send_signal(number)

    async def stop(self) -> int:
        """Stop the daemon with SIGTERM and return its exit code; kills it when it does not end."""
        process = self._running
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
        self._process = None
        return code

    async def kill(self) -> None:
        """End the daemon as a crash does."""
        self._running.kill()
        await self._running.wait()
        self._process = None

    async def ended(self) -> int:
        """Return the exit code once the daemon has ended by itself."""
        code = await self._running.wait()
        self._process = None
        return code
