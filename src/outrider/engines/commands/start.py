"""Starting a command's process: all from the parameters to a pid. It blocks, so it runs in a thread."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.domain.command_types.process import ProcessParams
from outrider.domain.ids import CommandId
from outrider.engines.commands.accounts import Account, find_account
from outrider.engines.commands.environment import SEARCH_PATH, clean_environment
from outrider.engines.commands.leftovers import ProcessRecord
from outrider.engines.commands.script_folder import ScriptFolder
from outrider.engines.commands.spawning import Ends, spawn
from outrider.engines.commands.start_errors import CannotStart
from outrider.engines.commands.surroundings import Surroundings

_SHELL: Final = "/bin/sh"
_HINTS: Final = {
    errno.E2BIG: "the arguments or the environment are more than the kernel takes; use stdin or a script",
    errno.ENOEXEC: "it is neither a program for this machine nor a script with a #! line",
    errno.EAGAIN: "this host runs as many processes as it may; end some or raise the limit",
    errno.ENOMEM: "this host is out of memory",
    errno.EMFILE: "the agent has as many open files as it may; raise its limit",
}
# A working directory is entered as the user, so that nobody gets into a folder through the agent's rights.
_ENTER_AND_EXEC: Final = 'cd -- "$1" || exit 126; shift; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process to be started.

    `program` is an absolute path or a name to be looked for in PATH. With a `script` its text is put into a
    private file, whose path comes before the `arguments`. `params` say where and how.
    """

    command_id: CommandId
    program: str
    arguments: tuple[str, ...] = ()
    script: str | None = None
    params: ProcessParams


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedProcess:
    """A process that has been started and not reaped: a pidfd and the reading ends of what it writes."""

    record: ProcessRecord
    pidfd: int
    stdout: int
    stderr: int


class ProcessStart:
    """One attempt to start. `stage` says at any time, to people, what is being done."""

    def __init__(self, spec: ProcessSpec, surroundings: Surroundings) -> None:
        self.stage = "starting"
        self.abandoned = False
        self._spec = spec
        self._surroundings = surroundings
        self._folder = ScriptFolder(surroundings.scratch, spec.command_id)

    def start(self) -> StartedProcess:
        """Start the process. Raises CannotStart; nothing is then left of the attempt."""
        try:
            return self._start()
        except OSError as error:
            self._folder.remove()
            raise CannotStart(f"{self.stage} failed: {_explain(error)}") from error
        except CannotStart:
            self._folder.remove()
            raise

    def discard(self, started: StartedProcess) -> None:
        """End a process that came too late, and remove what was made for it."""
        with suppress(ProcessLookupError):
            os.killpg(started.record.pid, signal.SIGKILL)
        for descriptor in (started.pidfd, started.stdout, started.stderr):
            os.close(descriptor)
        with suppress(ChildProcessError):
            os.waitpid(started.record.pid, 0)
        self._folder.remove()

    def _start(self) -> StartedProcess:
        spec, params = self._spec, self._spec.params
        _refuse_nul(
            {"cwd": params.cwd or "", **params.env, "command": spec.program + "".join(spec.arguments)}
        )
        self.stage = "looking up the user"
        account = find_account(params.user)
        environment = clean_environment(
            account, self._surroundings.base_environment, params.env, spec.command_id
        )
        folder = self._working_folder(account)
        self.stage = f"finding {spec.program}"
        program = _find_program(spec.program, environment.get("PATH", SEARCH_PATH), account)
        arguments = list(spec.arguments)
        if spec.script is not None:
            self.stage = "writing the script"
            arguments.insert(0, str(self._folder.write(spec.script, account)))
        if self.abandoned:
            raise CannotStart("nobody waits for it any more")
        self.stage = f"starting {program}"
        return _spawn(spec, account, folder, [program, *arguments], environment)

    def _working_folder(self, account: Account) -> str:
        """Return where the process is to begin: `cwd`, or the user's home, or / for a user without one."""
        asked = self._spec.params.cwd
        self.stage = f"entering {asked or account.home}"
        if asked is None:
            return account.home if _can_enter(account.home, account) else "/"
        if not asked.startswith("/"):
            raise CannotStart(f"cwd {asked!r} is not an absolute path; begin it with /")
        if not account.switch:
            # Entering tells why not, in the kernel's words.
            os.close(os.open(asked, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        if not _can_enter(asked, account):
            raise CannotStart(f"{account.name} can't enter {asked}; the folder must be there and open to it")
        return asked


def _refuse_nul(texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        if "\0" in text:
            raise CannotStart(f"{name} holds a NUL character, which no program can be given; leave it out")


def _can_enter(folder: str, account: Account) -> bool:
    if not account.switch:
        # With the slash at its end it is a folder or nothing.
        return os.access(f"{folder}/", os.X_OK)
    return _holds_for(account, 'cd -- "$1"', folder)


def _find_program(name: str, path: str, account: Account) -> str:
    """Return the absolute path of a program that `account` may run."""
    if "/" in name and not name.startswith("/"):
        raise CannotStart(f"{name!r} is neither a program's name nor an absolute path")
    program = shutil.which(name, path=path)
    if program is None:
        where = "is not there or can't be run" if "/" in name else f"is not in PATH ({path})"
        raise CannotStart(f"the program {name} {where}; install it or name another")
    if account.switch and program != _SHELL and not _holds_for(account, '[ -x "$1" ]', program):
        raise CannotStart(f"{account.name} may not run {program}")
    return str(Path(program).absolute())


def _holds_for(account: Account, test: str, path: str) -> bool:
    """Tell whether a shell test about `path` holds for another user: only the kernel knows all the rules."""
    done = subprocess.run(  # noqa: PLW1510 - the exit code is the answer
        [_SHELL, "-c", test, "sh", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": SEARCH_PATH},
        start_new_session=True,
        user=account.uid,
        group=account.gid,
        extra_groups=account.groups,
    )
    return done.returncode == 0


def _spawn(
    spec: ProcessSpec, account: Account, folder: str, argv: Sequence[str], environment: Mapping[str, str]
) -> StartedProcess:
    if account.switch:
        argv = [_SHELL, "-c", _ENTER_AND_EXEC, "sh", folder, *argv]
        folder = "/"
    with ExitStack() as ours, ExitStack() as theirs:
        stdin = _stdin_pipe(spec.params.stdin, theirs)
        stdout, stdout_end = _pipe(ours, theirs)
        stderr, stderr_end = _pipe(ours, theirs)
        if account.switch:
            # The user may open /dev/stdout and its sisters anew only when the pipe is the user's own.
            for descriptor in (stdin, stdout_end, stderr_end):
                if descriptor is not None:
                    os.fchown(descriptor, account.uid, account.gid)
        record, pidfd = spawn(
            spec.command_id,
            argv,
            account=account,
            folder=folder,
            environment=environment,
            ends=Ends(
                stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=stdout_end, stderr=stderr_end
            ),
            ours=ours,
        )
        ours.pop_all()
        return StartedProcess(record=record, pidfd=pidfd, stdout=stdout, stderr=stderr)


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ours.callback(os.close, reading)
    theirs.callback(os.close, writing)
    return reading, writing


def _stdin_pipe(text: str | None, theirs: ExitStack) -> int | None:
    """Return a pipe that holds all of `text` already, so that nobody has to feed the process."""
    if text is None:
        return None
    data = text.encode()
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    theirs.callback(os.close, reading)
    try:
        if len(data) > fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, len(data))
        if data and os.write(writing, data) != len(data):
            raise CannotStart("the kernel gave no room for the text of stdin; send less of it")
    finally:
        os.close(writing)
    os.set_blocking(reading, True)
    return reading


def _explain(error: OSError) -> str:
    hint = _HINTS.get(error.errno or 0)
    return hint or error.strerror or str(error)
