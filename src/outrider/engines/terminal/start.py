"""Starting a terminal: from a user's name to a login shell with a controlling terminal of its own.

It blocks (a directory server may be asked for the user), so it runs in a thread.
"""

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from outrider.domain.errors import Invalid
from outrider.domain.ids import CommandId, TerminalId
from outrider.domain.terminals import NoTerminal
from outrider.engines.commands.accounts import Account, find_account
from outrider.engines.commands.environment import clean_environment
from outrider.engines.commands.leftovers import ProcessRecord
from outrider.engines.commands.spawning import Ends, spawn
from outrider.engines.commands.start_errors import CannotStart

_SHELL: Final = "/bin/sh"
_IUTF8: Final = 0o40000
"""From termios.h; Python has no name for it. With it a backspace takes a whole character away."""
# The child is a session's leader without a controlling terminal; the first terminal it opens becomes that.
# It is opened as the user, and so is the folder: nobody gets anywhere by the agent's rights.
_TAKE_AND_EXEC: Final = 'exec <>"$1" >&0 2>&0 || exit 126; cd -- "$2" 2>/dev/null || cd /; shift 2; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalSpec:
    """A terminal to be opened. `user` None is the agent's own; a `command` runs in place of a prompt."""

    terminal_id: TerminalId
    columns: int
    rows: int
    term: str
    user: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTerminal:
    """A shell that was started and not reaped: its pidfd, and the master's side of its terminal."""

    record: ProcessRecord
    account: str
    pidfd: int
    master: int


def start_terminal(spec: TerminalSpec, base_environment: Mapping[str, str]) -> StartedTerminal:
    """Open a terminal and start its shell.

    Raises Invalid for a user that can't be had and NoTerminal where the host has no terminal to give; nothing
    is then left of the attempt.
    """
    try:
        account = find_account(spec.user)
    except CannotStart as error:
        raise Invalid(error.reason[:1].upper() + error.reason[1:] + ".", field="user") from None
    try:
        return _start(spec, account, base_environment)
    except OSError as error:
        raise NoTerminal(f"The shell could not be started: {error.strerror or error}.") from error
    except CannotStart as error:
        raise NoTerminal(f"The shell could not be started: {error.reason}.") from error


def discard_terminal(started: StartedTerminal) -> None:
    """End a terminal that nobody waits for any more."""
    with suppress(ProcessLookupError):
        os.killpg(started.record.pid, signal.SIGKILL)
    os.close(started.pidfd)
    os.close(started.master)
    with suppress(ChildProcessError):
        os.waitpid(started.record.pid, 0)


def set_size(master: int, columns: int, rows: int) -> None:
    """Give the terminal another size; whatever runs in its foreground gets SIGWINCH."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _start(spec: TerminalSpec, account: Account, base_environment: Mapping[str, str]) -> StartedTerminal:
    with ExitStack() as ours, ExitStack() as theirs:
        master, slave = _open_pair()
        ours.callback(os.close, master)
        theirs.callback(os.close, slave)
        name = os.ttyname(slave)
        _prepare(slave)
        set_size(master, spec.columns, spec.rows)
        os.set_blocking(master, False)
        if account.switch:
            os.fchown(slave, account.uid, -1)
        environment = clean_environment(
            account, base_environment, {"TERM": spec.term}, CommandId(spec.terminal_id)
        )
        shell = [account.login_shell, "-l"]
        if spec.command is not None:
            shell += ["-c", spec.command]
        record, pidfd = spawn(
            CommandId(spec.terminal_id),
            [_SHELL, "-c", _TAKE_AND_EXEC, "sh", name, account.home, *shell],
            account=account,
            folder="/",
            environment=environment,
            # Held open from the first moment on: a terminal that nobody has open is over for its master.
            ends=Ends(stdin=slave, stdout=slave, stderr=slave),
            ours=ours,
        )
        ours.pop_all()
        return StartedTerminal(record=record, account=account.name, pidfd=pidfd, master=master)


def _open_pair() -> tuple[int, int]:
    try:
        return os.openpty()
    except OSError as error:
        raise NoTerminal(
            f"This host has no pseudo-terminal to give ({error.strerror or error}): /dev/ptmx and /dev/pts "
            "must be there, as they are where devpts is mounted."
        ) from error


def _prepare(slave: int) -> None:
    modes = termios.tcgetattr(slave)
    modes[0] |= _IUTF8
    termios.tcsetattr(slave, termios.TCSANOW, modes)
