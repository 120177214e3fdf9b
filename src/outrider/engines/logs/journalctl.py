"""journalctl as a child: found, started in a group of its own, read as far as the reader goes, ended."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.domain.errors import Forbidden, HostFault, Invalid, OutriderError
from outrider.domain.logs import NoJournal, NoUnit
from outrider.engines.logs.journal_entries import FIELDS
from outrider.kit.clock import Clock

_SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOLDERS: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_END_WITHIN: Final = 1.0
_ANSWER_WITHIN: Final = 20.0
_PIECE: Final = 64 * 1024
_MAX_COMPLAINT: Final = 2000
_MAX_ANSWER: Final = 64 * 1024


class Died(HostFault):
    """journalctl was ended by somebody else."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of this host, or the one whose files lie in `folder`."""

    folder: str = ""

    def check(self) -> str:
        """Return the path of journalctl. Raises NoJournal, which says what is missing. Blocks."""
        program = shutil.which("journalctl", path=_SEARCH_PATH)
        if program is None:
            raise NoJournal(
                "There is no journal here: this host has no journalctl. Read its log files: source=file, "
                "or --file at the command line."
            )
        folders = (Path(self.folder),) if self.folder else _FOLDERS
        if not any(_holds_journals(folder) for folder in folders):
            where = " or ".join(str(folder) for folder in folders)
            raise NoJournal(
                f"There is no journal here: {where} holds no journal files; systemd-journald does not run on "
                "this host, or keeps nothing. Read its log files: source=file, or --file at the command line."
            )
        return program

    @property
    def is_there(self) -> bool:
        """Tell whether there is a journal to read. Blocks."""
        try:
            self.check()
        except NoJournal:
            return False
        return True


def _holds_journals(folder: Path) -> bool:
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        return True  # journalctl itself says what is not allowed
    return any(True for pattern in ("*.journal", "*/*.journal") for _ in folder.glob(pattern))


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the journal."""

    unit: str = ""
    priority: int | None = None
    pattern: str = ""
    since: float | None = None

    def arguments(self, *, after: str = "") -> list[str]:
        """Write it for journalctl; every value is bound to its option, so that none can be taken for one.

        With a cursor it is about what comes after that: journalctl takes a cursor or `since`, not both.
        """
        given = []
        if self.unit:
            given.append(f"--unit={self.unit}")
        if self.priority is not None:
            given.append(f"--priority={self.priority}")
        if after:
            given.append(f"--after-cursor={after}")
        elif self.since is not None:
            given.append(f"--since=@{self.since:.6f}")
        if self.pattern:
            # Otherwise a pattern in lower case alone would ignore case.
            given += [f"--grep={self.pattern}", "--case-sensitive=yes"]
        return given


class Child:
    """A journalctl that runs. `is_drained`: it had nothing more to give when it was last asked."""

    def __init__(self, process: asyncio.subprocess.Process, output: int) -> None:
        """Take over the process and the reading end of its output."""
        self._process = process
        self._output = output
        self.is_drained = False

    @property
    def pid(self) -> int:
        """Its process id, which is its group's as well."""
        return self._process.pid

    async def read(self) -> bytes:
        """Return some output; no bytes when it has ended."""
        self.is_drained = False
        while True:
            try:
                return os.read(self._output, _PIECE)
            except BlockingIOError:
                self.is_drained = True
            await _readable(self._output)

    async def ended(self) -> None:
        """Wait for its end. Raises what its exit code and its complaint mean when it has failed."""
        stderr = self._process.stderr
        said = b"" if stderr is None else await stderr.read(_MAX_COMPLAINT)
        complaint = said.decode(errors="replace").strip()
        code = await self._process.wait()
        # Like grep, it ends with 1 and without a word when nothing fits.
        if code and (complaint or code != 1):
            raise _failure(code, complaint)


@asynccontextmanager
async def start(
    program: str, journal: Journal, arguments: Sequence[str], clock: Clock
) -> AsyncGenerator[Child, None]:
    """Run journalctl for the block; it is ended with all its group, gently first. Raises HostFault."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(reading, False)
        process = await asyncio.create_subprocess_exec(
            program,
            "--quiet",
            "--no-pager",
            "--output=json",
            f"--output-fields={','.join(FIELDS)}",
            "--all",
            *((f"--directory={journal.folder}",) if journal.folder else ()),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": _SEARCH_PATH, "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        raise HostFault(f"journalctl can't be started: {error.strerror}.") from error
    finally:
        os.close(writing)
    try:
        yield Child(process, reading)
    finally:
        os.close(reading)
        await _end(process, clock)


async def first_lines(program: str, journal: Journal, arguments: Sequence[str], clock: Clock) -> bytes:
    """Return the beginning of what one run of journalctl prints. Raises what it fails with."""
    found = bytearray()
    async with start(program, journal, arguments, clock) as child:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                while len(found) < _MAX_ANSWER and (piece := await child.read()):
                    found += piece
                if len(found) < _MAX_ANSWER:
                    await child.ended()
        except TimeoutError:
            raise HostFault("journalctl does not answer on this host.") from None
    return bytes(found)


async def systemd_knows(unit: str, clock: Clock) -> bool:
    """Tell whether this host's systemd knows a unit, though it may never have logged anything."""
    program = await asyncio.to_thread(shutil.which, "systemctl", path=_SEARCH_PATH)
    if program is None:
        return False
    process = await asyncio.create_subprocess_exec(
        program,
        "show",
        "--property=LoadState",
        "--",
        unit,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            told, _ = await process.communicate()
    except TimeoutError:
        return False
    finally:
        await _end(process, clock)
    return process.returncode == 0 and b"LoadState=not-found" not in told


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def _end(process: asyncio.subprocess.Process, clock: Clock) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            await clock.wait_for(process.wait(), _END_WITHIN)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    # A transport that is not closed keeps the pipe of its complaints open.
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public closes it


def _failure(code: int, complaint: str) -> OutriderError:
    if "insufficient permissions" in complaint:
        return Forbidden(
            "The agent's user may not read the journal. Add it to the group systemd-journal, or run the "
            "agent as root."
        )
    if "Failed to add filter for units" in complaint:
        return NoUnit("The journal has nothing of such units.")
    if "Failed to seek to cursor" in complaint:
        return Invalid("This is no position in this host's journal.", field="Last-Event-ID")
    if "Bad pattern" in complaint:
        return Invalid(f"grep can't be read. journalctl says: {complaint}.", field="grep")
    if code < 0:
        return Died(f"journalctl was ended by signal {-code}.")
    return HostFault(f"journalctl failed: {complaint or f'exit code {code}'}")
