"""The one way in which a child of the agent is made that works for somebody: its session, user and pidfd."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from outrider.domain.ids import CommandId
from outrider.engines.commands.accounts import Account
from outrider.engines.commands.leftovers import ProcessRecord, record_of
from outrider.engines.commands.start_errors import CannotStart

_UMASK: Final = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What the child reads from and writes to."""

    stdin: int
    stdout: int
    stderr: int


def spawn(
    owner: CommandId,
    argv: Sequence[str],
    *,
    account: Account,
    folder: str,
    environment: Mapping[str, str],
    ends: Ends,
    ours: ExitStack,
) -> tuple[ProcessRecord, int]:
    """Start a process as `account`, leader of a session of its own; return its record and a pidfd.

    The pidfd is closed by `ours`. The caller reaps the process. Blocks. Raises OSError and CannotStart;
    nothing is then left of it.
    """
    process = subprocess.Popen(
        [part.encode() for part in argv],
        stdin=ends.stdin,
        stdout=ends.stdout,
        stderr=ends.stderr,
        cwd=folder,
        env={name.encode(): value.encode() for name, value in environment.items()},
        start_new_session=True,
        umask=_UMASK,
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=account.groups if account.switch else None,
    )
    # From here on the pid is all that counts: whoever asked reaps it, not this object.
    process.returncode = 0
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        os.killpg(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
        raise
    ours.callback(os.close, pidfd)
    record = record_of(owner, process.pid)
    if record is None:
        raise CannotStart("its process was reaped by somebody else; the agent must not ignore SIGCHLD")
    return record, pidfd
