"""The real programs, each as a process of its own: `outrider center`, `outrider agent`, `outrider up`."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from outrider.kit.launch import ANNOUNCE_FD, PARENT_FD

ADMIN_PASSWORD: Final = "bench-password-of-no-value"  # noqa: S105 (guards a center that lives for a benchmark)
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_OUTRIDER: Final = (sys.executable, "-m", "outrider")


class ProgramEnded(Exception):
    """A program ended, or never became ready; the message holds the end of its log."""


def allow_many_files() -> None:
    """Raise this process's limit of open files, which its children inherit, as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Program:
    """One daemon of ours that announces itself; an async context manager that leaves no process behind."""

    def __init__(
        self, words: Sequence[str], settings: Mapping[str, str], log: Path, *, python: Sequence[str] = ()
    ) -> None:
        """`settings` become `OUTRIDER_*` variables; `python` are the interpreter's options; `log` grows."""
        self.log = log
        self.announced: dict[str, Any] = {}
        self.started_in = 0.0
        self._command = (sys.executable, *python, *_OUTRIDER[1:], *words)
        self._settings = dict(settings)
        self._process: asyncio.subprocess.Process | None = None
        self._parent: int | None = None

    async def __aenter__(self) -> Self:
        """Start the program and wait until it announces itself. Raises ProgramEnded."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the program."""
        await self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise RuntimeError("the program is not running")
        return self._process.pid

    def set(self, **settings: str) -> None:
        """Change settings for the next start."""
        self._settings.update(settings)

    async def start(self) -> None:
        """Start the program; `started_in` is then how many seconds it took to announce itself."""
        announce, their_announce = os.pipe()
        their_parent, self._parent = os.pipe()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        ours = {f"OUTRIDER_{name.upper()}": value for name, value in self._settings.items()}
        fds = {ANNOUNCE_FD: str(their_announce), PARENT_FD: str(their_parent)}
        began = time.monotonic()
        with self.log.open("ab") as log, os.fdopen(announce, "rb") as announcements:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env={**kept, **ours, **fds},
                    pass_fds=(their_announce, their_parent),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            finally:
                os.close(their_announce)
                os.close(their_parent)
            try:
                async with asyncio.timeout(_START_SECONDS):
                    line = await asyncio.to_thread(announcements.readline)
            except TimeoutError:
                await self.kill()
                raise self._failure(f"did not announce itself in {_START_SECONDS:.0f} s") from None
        self.started_in = time.monotonic() - began
        if not line:
            await self.stop()
            raise self._failure("ended before it was ready")
        self.announced = msgspec.json.decode(line)

    async def stop(self) -> None:
        """End the program politely, by force when it takes too long."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._reap()

    async def kill(self) -> None:
        """End the program as a crash does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._reap()

    async def _reap(self) -> None:
        if self._process is not None:
            await self._process.wait()
            self._process = None
        if self._parent is not None:
            os.close(self._parent)
            self._parent = None

    def _failure(self, what: str) -> ProgramEnded:
        tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        return ProgramEnded(f"{' '.join(self._command[1:])} {what}:\n{tail}")


class CenterProgram(Program):
    """A center with both listeners on free ports, which it keeps when it is started again."""

    def __init__(self, home: Path) -> None:
        """Nothing is set but where it is and how the first user signs in."""
        settings = {
            "home": str(home / "center"),
            "listen": "127.0.0.1:0",
            "tls_listen": "127.0.0.1:0",
            "admin_password": ADMIN_PASSWORD,
        }
        super().__init__(("center",), settings, home / "center.log")

    @property
    def url(self) -> str:
        """The plain address, for the one who measures."""
        return str(self.announced["url"])

    @property
    def tls_url(self) -> str:
        """The address that agents dial."""
        return str(self.announced["tls_url"])

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return Path(self._settings["home"]) / "center.db"

    async def start(self) -> None:
        """Start, on the ports it had before if it had any."""
        await super().start()
        self.set(listen=urlsplit(self.url).netloc, tls_listen=urlsplit(self.tls_url).netloc)


class AgentProgram(Program):
    """A real agent daemon; it announces itself when it is connected."""

    def __init__(
        self, home: Path, center_url: str, enrolment_key: str, *, python: Sequence[str] = ()
    ) -> None:
        """`home` may be an agent's folder from before."""
        settings = {
            "home": str(home / "agent"),
            "center_url": center_url,
            "enrolment_key": enrolment_key,
            "policy": str(home / "policy.toml"),
            "edge_api_listen": "",
        }
        super().__init__(("agent",), settings, home / "agent.log", python=python)
