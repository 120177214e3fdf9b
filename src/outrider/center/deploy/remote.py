"""What is done on a host once we are signed in: become root, look, bring the agent, have it installed."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.center.deploy.contact import ConnectionLost, Patience
from outrider.center.deploy.output import KeptOutput
from outrider.domain.bundles import BundleTarget
from outrider.domain.deployments import DeployFailed, DeployStep, SudoDenied
from outrider.domain.errors import Invalid, OutriderError
from outrider.kit.clock import Clock
from outrider.kit.printable import escape
from outrider.kit.tasks import Tasks

if TYPE_CHECKING:
    from outrider.center.deploy.ssh import Connection, Program

OLDEST: Final = (3, 11)
_PYTHONS: Final = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
_READY: Final = re.compile(rb"outrider-ready (\d{1,2})\.(\d{1,3}) (\d{1,10})")
_PROMPT: Final = b"outrider-sudo-password:"
# Valid in every Python 3, and quoted in every shell: it holds no quote, backslash or exclamation mark that
# one of them would take for its own.
_BOOT: Final = (
    "import os,sys;v=sys.version_info;"
    'sys.stdout.write("%soutrider-ready %d.%d %d%s" % (os.linesep,v[0],v[1],os.getuid(),os.linesep));'
    "sys.stdout.flush();"
    "n=int(sys.stdin.buffer.readline());"
    'exec(compile(sys.stdin.buffer.read(n),"outrider","exec"))'
)
_HOST_SIDE: Final = Path(__file__).with_name("host_side.py")
_NOT_FOUND: Final = frozenset({126, 127})
_LONGEST_DETAIL: Final = 2_000
_PIECE: Final = 256 * 1024
_BEAT_EVERY: Final = 10.0
_BEAT: Final = b"."
_CANCEL: Final = b"x"
_NOT_SAID: Final = "The host did not say that it has tidied up."
_STEPS: Final = {
    "preflight": DeployStep.PREFLIGHT,
    "fetch": DeployStep.COPY,
    "unpack": DeployStep.COPY,
    "configure": DeployStep.COPY,
    "start": DeployStep.START,
    "online": DeployStep.ONLINE,
}


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is sent: its bytes come in pieces."""

    name: str
    size: int
    sha256: str
    pieces: Callable[[], AsyncGenerator[bytes, None]]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One report of the installer, as a step of a deployment."""

    step: DeployStep
    state: str
    detail: str = ""
    agent_id: str = ""
    changed: bool = True


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the installer."""

    step: str
    state: str
    detail: str = ""
    agent_id: str = ""
    changed: bool = True


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the host's side; it has one of these."""

    facts: "_Facts | None" = None
    install: _Report | None = None
    said: str | None = None
    failed: str | None = None
    detail: str = ""
    ended: int | None = None


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    python: str
    platform: str
    glibc: str = ""


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent's bundle has to fit."""

    target: BundleTarget
    glibc: str


class Lost(Exception):
    """The connection broke, or the host fell silent, while the installer was at work."""


class Remote:
    """The host's side of a deployment, run as root at the other end of a connection."""

    def __init__(self, program: Program, clock: Clock, patience: Patience) -> None:
        self._program = program
        self._clock = clock
        self._patience = patience
        # Whether the host has said that it is at its end, and nothing is left of us there.
        self._has_ended = False

    @classmethod
    async def begin(
        cls, connection: Connection, *, sudo_password: str, clock: Clock, patience: Patience
    ) -> Remote:
        """Find a Python that is new enough, become root, and start our side there.

        Raises DeployFailed or SudoDenied, with what the host said as `output`.
        """
        python, program, is_root = await _find_python(connection, patience)
        if not is_root:
            program.close_input()
            program.abort()
            program = await _with_sudo(connection, python, sudo_password, patience)
        source = await asyncio.to_thread(_HOST_SIDE.read_bytes)
        await _tell(program, b"%d\n" % len(source) + source)
        return cls(program, clock, patience)

    @property
    def output(self) -> KeptOutput:
        """What the host said that was no report."""
        return self._program.output

    async def look(self) -> HostFacts:
        """Hear what kind of host it is. Raises DeployFailed."""
        try:
            line = await self._hear(self._patience.begin)
        except TimeoutError:
            raise DeployFailed("Python is started on the host, and then says nothing.") from None
        if line is None or line.facts is None:
            raise DeployFailed(_incomplete(self.output.text))
        try:
            target = BundleTarget.parse(line.facts.python, line.facts.platform)
        except Invalid as error:
            raise DeployFailed(f"No agent can run on this host: {error.detail}") from error
        return HostFacts(target=target, glibc=line.facts.glibc[:20])

    async def send(
        self, files: list[File], settings: Mapping[str, Any], on_progress: Callable[[int], None]
    ) -> None:
        """Send the order and the files. Raises DeployFailed when the host does not take them.

        `on_progress` hears how many bytes were sent.
        """
        order = {
            "files": [{"name": each.name, "size": each.size, "sha256": each.sha256} for each in files],
            "settings": settings,
        }
        sent = 0
        try:
            await self._program.write(msgspec.json.encode(order) + b"\n")
            for file in files:
                async with aclosing(file.pieces()) as pieces:
                    async for piece in pieces:
                        await self._program.write(piece)
                        sent += len(piece)
                        on_progress(sent)
        except TimeoutError:
            raise DeployFailed("The host takes nothing of what is sent to it any more.") from None
        except ConnectionLost:
            raise DeployFailed(await self._last_words("The host hung up while the agent was sent.")) from None

    async def reports(self) -> AsyncIterator[Told]:
        """Give what the installer tells; returns once it has ended well.

        Raises DeployFailed when it says why it could not, Lost when nobody is there to say so. The host hears
        meanwhile that we are still here.
        """
        async with Tasks("deploy") as tasks:
            tasks.spawn("beat", self._beat())
            failed: Told | None = None
            while True:
                try:
                    line = await self._hear(self._patience.silence)
                except TimeoutError:
                    raise Lost("The host says nothing any more.") from None
                if line is None:
                    raise Lost("The connection to the host broke.")
                if line.install is not None and (told := _told(line.install)) is not None:
                    if told.state == "failed":
                        failed = told
                    else:
                        yield told
                if line.failed is not None:
                    raise DeployFailed(line.detail[:_LONGEST_DETAIL], step=DeployStep.COPY.value)
                if line.ended is not None:
                    _check_end(line.ended, failed)
                    return

    async def undo(self) -> str:
        """Have the installer undo what it did, and hang up. Returns what may be left, if anything."""
        if self._has_ended:
            return ""
        try:
            await self._program.write(_CANCEL)
            self._program.close_input()
            async with asyncio.timeout(self._patience.undo):
                while (line := await self._hear(self._patience.undo)) is not None:
                    if line.ended is not None:
                        return "" if line.ended >= 0 else "The installer had to be killed while it tidied up."
        except (TimeoutError, OutriderError, ConnectionLost):
            return _NOT_SAID
        return _NOT_SAID

    async def _beat(self) -> None:
        # One that takes nothing, or has gone, is heard no more either: that is told there.
        with suppress(TimeoutError, ConnectionLost):
            while True:
                await self._clock.sleep(_BEAT_EVERY)
                await self._program.write(_BEAT)

    async def _hear(self, seconds: float) -> _Line | None:
        """Return the next line that is one of ours; others are output. None when it has ended."""
        while True:
            raw = await self._program.line(seconds)
            if raw is None:
                return None
            try:
                line = msgspec.json.decode(raw, type=_Line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self.output.add_line(raw)
                continue
            if line.said is None:
                self._has_ended = self._has_ended or line.failed is not None or line.ended is not None
                return line
            self.output.add_line(line.said.encode("utf-8", "replace"))

    async def _last_words(self, otherwise: str) -> str:
        """Say why the host hung up, if it said so."""
        try:
            while (line := await self._hear(self._patience.begin)) is not None:
                if line.failed is not None:
                    return line.detail[:_LONGEST_DETAIL]
        except TimeoutError:
            return otherwise
        return otherwise


def _told(report: _Report) -> Told | None:
    step = _STEPS.get(report.step)
    if step is None:
        return None
    return Told(
        step=step,
        state=report.state[:20],
        detail=escape(report.detail[:_LONGEST_DETAIL]),
        agent_id=report.agent_id[:80],
        changed=report.changed,
    )


def _check_end(code: int, failed: Told | None) -> None:
    if failed is not None:
        raise DeployFailed(failed.detail or "The installer failed.", step=failed.step.value)
    if code != 0:
        raise DeployFailed(f"The installer ended with exit code {code}.", step=DeployStep.COPY.value)


async def _find_python(connection: Connection, patience: Patience) -> tuple[str, Program, bool]:
    """Start our side with the first Python that is new enough: its name, the program, and whether it is root.

    Raises DeployFailed, which names what was found instead.
    """
    found: list[str] = []
    said = ""
    for name in _PYTHONS:
        program = await connection.start(f"{name} -I -c '{_BOOT}'")
        ready = await _ready(program, patience)
        if ready is not None:
            version, uid = ready
            if version >= OLDEST:
                return name, program, uid == 0
            found.append("{}.{}".format(*version))
        elif program.exit_code not in _NOT_FOUND:
            program.abort()
            raise DeployFailed(
                "No program can be run on the host: does this user have a shell?", output=program.output.text
            )
        said = said or program.output.text
        program.abort()
    if found:
        raise DeployFailed(
            f"The host's python3 is {found[0]}; the agent needs 3.11 or newer. Install one beside it "
            "(python3.12, for example): it is found by its name.",
            output=said,
        )
    raise DeployFailed(
        "The host has no python3; the agent needs 3.11 or newer (`apt-get install python3`).", output=said
    )


async def _ready(program: Program, patience: Patience) -> tuple[tuple[int, int], int] | None:
    """Wait for our first words; what a shell says before them is output. None when it ended without them."""
    try:
        async with asyncio.timeout(patience.begin):
            while (line := await program.line(patience.begin)) is not None:
                if found := _READY.fullmatch(line.rstrip(b"\r")):
                    return (int(found[1]), int(found[2])), int(found[3])
                program.output.add_line(line)
    except TimeoutError:
        program.abort()
        raise DeployFailed(
            "The host lets us in, and then runs nothing: its shell does not answer.",
            output=program.output.text,
        ) from None
    return None


async def _with_sudo(connection: Connection, python: str, password: str, patience: Patience) -> Program:
    """Start our side as root. The password is said when sudo asks for it, and at no other time.

    Raises SudoDenied with what sudo said, or DeployFailed.
    """
    program = await connection.start(
        f"sudo -k -S -H -p {_PROMPT.decode()} -- {python} -I -c '{_BOOT}'", prompt=_PROMPT
    )
    asked = 0
    try:
        async with asyncio.timeout(patience.begin):
            while (line := await program.line(patience.begin)) is not None:
                if line == _PROMPT:
                    asked += 1
                    if asked > 1 or not password:
                        program.close_input()
                        break
                    await _tell(program, password.encode() + b"\n")
                elif found := _READY.fullmatch(line.rstrip(b"\r")):
                    if int(found[3]) == 0:
                        return program
                    break
                else:
                    program.output.add_line(line)
    except TimeoutError:
        program.abort()
        raise SudoDenied("sudo does not answer on the host.", output=program.output.text) from None
    program.abort()
    raise SudoDenied(_why_no_root(asked, password, program), output=program.output.text)


def _why_no_root(asked: int, password: str, program: Program) -> str:
    said = program.output.text
    if asked > 1:
        return "The sudo password is wrong."
    if asked and not password:
        return "sudo asks for a password on the host: give sudo_password (`--ask-sudo-password`)."
    if program.exit_code in _NOT_FOUND:
        return "The user is not root, and the host has no sudo: deploy as root, or install sudo there."
    if "tty" in said:
        return "sudo wants a terminal on the host: take `requiretty` out of its sudoers for this user."
    return "The user may not become root with sudo on the host."


async def _tell(program: Program, data: bytes) -> None:
    try:
        await program.write(data)
    except TimeoutError:
        raise DeployFailed("The host takes nothing of what is sent to it.") from None
    except ConnectionLost:
        raise DeployFailed("The host hung up.", output=program.output.text) from None


_MISSING: Final = re.compile(r"No module named '([\w.]{1,60})'")


def _incomplete(said: str) -> str:
    missing = _MISSING.search(said)
    if missing:
        return (
            f"The host's Python is incomplete: it has no module {missing[1]}. Install all of it "
            "(`apt-get install python3`)."
        )
    return "Python on the host can't do what is needed; what it said is in the output."


def of_bytes(name: str, data: bytes) -> File:
    """Make a file to be sent of what is in memory."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]

    return File(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), pieces=pieces)
