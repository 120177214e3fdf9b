"""What the program ends with. The one table from error class to exit code is here.

    0     done
    1     failed, for a reason none of the others names
    2     the command line or a value in it can't be used
    3     not signed in, or the session has ended
    4     not allowed
    5     what was named does not exist
    6     its state does not allow it
    7     the center, or a part of it, can't be reached or asks to wait
    8     the center can't prove who it is
    70    a fault of this program
    130   interrupted by Ctrl-C
    141   nobody reads the output any more

`outrider exec` and `outrider shell` end as what they ran did; 124, 125 and 130 say why there is no such code.
Their own errors are 125 as well, so that they can't be taken for the remote command's.
"""

from typing import TYPE_CHECKING, Final

from outrider.domain import errors

if TYPE_CHECKING:
    from outrider.client import Command

FAILED: Final = 1
USAGE: Final = 2
FAULT: Final = 70
INTERRUPTED: Final = 130
READER_GONE: Final = 141

EXEC_TIMED_OUT: Final = 124
"""The command ran into its time limit."""
EXEC_NO_RESULT: Final = 125
"""The command could not be sent, expired, was interrupted with its agent, or failed to start."""
EXEC_CANCELLED: Final = 130
"""The command was cancelled."""
NO_RESULT: Final = EXEC_NO_RESULT
"""The same for `outrider shell`: the remote shell has no exit code, or it could not be heard of."""
SIGNALLED: Final = 128
"""And the number of the signal that ended a remote command or shell."""
HUNG_UP: Final = 129
"""Our own terminal was closed."""
_REMOTE: Final = frozenset({"exec", "shell"})
"""The words that end as something remote did."""

# By code, not by class: the client's own errors must not be loaded only to fill a table.
_BY_CODE: Final[dict[str, int]] = {
    errors.Invalid.code: USAGE,
    errors.TooLarge.code: USAGE,
    errors.UnknownType.code: USAGE,
    errors.BadParams.code: USAGE,
    errors.Unauthenticated.code: 3,
    errors.Forbidden.code: 4,
    errors.NotFound.code: 5,
    errors.Conflict.code: 6,
    errors.Unavailable.code: 7,
    errors.Throttled.code: 7,
    "empty_target": 5,
    "center_away": 7,
    "wrong_certificate": 8,
    "left_running": INTERRUPTED,
}


def of_error(error: errors.OutriderError, word: str) -> int:
    """The exit code for an error in the command `word`."""
    # A newer error is of the kind of its ancestors.
    codes = (getattr(kind, "code", "") for kind in type(error).__mro__)
    code = next((_BY_CODE[known] for known in (error.code, *codes) if known in _BY_CODE), FAILED)
    return EXEC_NO_RESULT if word in _REMOTE and code != INTERRUPTED else code


def of_usage(word: str) -> int:
    """The exit code for a command line that can't be read, of the command `word`."""
    return EXEC_NO_RESULT if word in _REMOTE else USAGE


def of_command(command: "Command") -> int:
    """The exit code of `outrider exec` for a command that has ended."""
    match command.status:
        case "succeeded":
            return command.exit_code or 0
        case "timed_out":
            return EXEC_TIMED_OUT
        case "cancelled":
            return EXEC_CANCELLED
        case "failed" if command.signal:
            return SIGNALLED + command.signal
        case "failed" if command.exit_code:
            return command.exit_code
        case _:
            return EXEC_NO_RESULT
