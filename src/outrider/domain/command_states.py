"""The life of a command, as the center sees it and as the agent sees it."""

from enum import StrEnum
from typing import Final

from outrider.domain.transitions import Transitions


class CommandState(StrEnum):
    """A command's state. The last six are final."""

    QUEUED = "queued"
    SENT = "sent"
    RUNNING = "running"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"


_C = CommandState
_OUTCOMES: Final = (_C.SUCCEEDED, _C.FAILED, _C.TIMED_OUT, _C.CANCELLED, _C.EXPIRED, _C.INTERRUPTED)

# `unknown` is not final: a late result settles it. A result may arrive for a command that the
# center still calls `queued` when its record of sending was lost with the process that sent it.
COMMAND: Final = Transitions(
    CommandState,
    {
        _C.QUEUED: (_C.SENT, _C.RUNNING, *_OUTCOMES),
        _C.SENT: (_C.RUNNING, _C.UNKNOWN, *_OUTCOMES),
        _C.RUNNING: (_C.UNKNOWN, *_OUTCOMES),
        _C.UNKNOWN: (_C.SENT, _C.RUNNING, *_OUTCOMES),
    },
)
FINAL: Final = COMMAND.final
ACTIVE: Final = frozenset(CommandState) - FINAL
AT_HOST: Final = frozenset({_C.SENT, _C.RUNNING, _C.UNKNOWN})
"""The states in which the agent decides: it may hold, run or have run the command."""
NOT_BEGUN: Final = frozenset({_C.QUEUED, _C.SENT})
"""States of which it is known that there is no output."""
TOLD_BY_HOST: Final = frozenset({_C.SUCCEEDED, _C.FAILED, _C.TIMED_OUT})
"""Ends that only the host itself can tell of, and with them how much output there was."""


class TaskState(StrEnum):
    """A command in the agent's spool. `done` is kept until the center has confirmed the result."""

    ACCEPTED = "accepted"
    STARTED = "started"
    DONE = "done"
    CONFIRMED = "confirmed"


_T = TaskState
# accepted -> done without started: cancelled or expired while it waited for its turn.
TASK: Final = Transitions(
    TaskState,
    {_T.ACCEPTED: (_T.STARTED, _T.DONE), _T.STARTED: (_T.DONE,), _T.DONE: (_T.CONFIRMED,)},
)
