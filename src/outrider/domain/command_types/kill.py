"""`kill`: send a signal to processes of the host."""

import re
import signal
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from outrider.domain.command_types.faults import ParamFault

MAX_KILLED: Final = 200
MAX_WAIT: Final = 300.0
_LAST_SIGNAL: Final = 64
_NAME: Final = re.compile(r"(?:SIG)?([A-Z][A-Z0-9]*)")
_NAMES: Final = {each.name.removeprefix("SIG"): int(each) for each in signal.Signals}


class KillParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to signal - one process by number, or a known number of them by name - and how."""

    pid: (
        Annotated[
            int,
            Meta(
                extra_json_schema={"minimum": 2, "maximum": 2**22},
                description="The process. Never 1, 0, a negative number, or the agent and what started it.",
            ),
        ]
        | None
    ) = None
    start_ticks: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="As `processes` told it: a process that got the same number since is let alone.",
            ),
        ]
        | None
    ) = None
    name: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=256,
                description="All processes of exactly this name, as `processes` tells it; needs `count`.",
            ),
        ]
        | None
    ) = None
    count: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_KILLED,
                description="How many processes `name` means; if it means more or fewer, none is signalled.",
            ),
        ]
        | None
    ) = None
    signal: Annotated[
        str | int, Meta(description="A signal by name (TERM, SIGTERM) or by number (1 to 64).")
    ] = "TERM"
    wait: Annotated[
        float,
        Meta(
            ge=0,
            le=MAX_WAIT,
            description="Seconds in which they are to end; those that do not make the command fail.",
        ),
    ] = 0.0
    escalate: Annotated[bool, Meta(description="Send KILL to those that have not ended after `wait`.")] = (
        False
    )

    def __post_init__(self) -> None:
        """Check what belongs together. Raises ParamFault."""
        self._check_whom()
        signal_number(self.signal)
        if self.escalate and self.wait <= 0:
            raise ParamFault("escalate", "needs `wait`: the seconds before KILL is sent")

    def _check_whom(self) -> None:
        if (self.pid is None) == (self.name is None):
            raise ParamFault("pid", "give either `pid` or `name`")
        if self.pid is not None:
            _check_pid(self.pid)
            if self.count is not None:
                raise ParamFault("count", "goes with `name`; a `pid` is one process")
        elif self.count is None:
            raise ParamFault("count", "is needed with `name`: how many processes do you mean")
        elif self.start_ticks is not None:
            raise ParamFault("start_ticks", "goes with `pid`")


def _check_pid(pid: int) -> None:
    if pid == 1:
        raise ParamFault("pid", "process 1 is what keeps the host running; it is not to be signalled")
    if pid < 1:
        raise ParamFault("pid", "0 and negative numbers mean groups of processes; give the number of one")


def signal_number(text: Any) -> int:
    """Return the number of a signal given by name or number. Raises ParamFault."""
    if isinstance(text, str) and not text.isdecimal():
        found = _NAME.fullmatch(text.upper())
        number = _NAMES.get(found[1], 0) if found else 0
        if not number:
            raise ParamFault("signal", f"there is no signal {text[:40]!r}; give a name such as TERM")
        return number
    number = int(text) if len(str(text)) <= len(str(_LAST_SIGNAL)) else 0
    if not 1 <= number <= _LAST_SIGNAL:
        raise ParamFault("signal", f"a signal's number is from 1 to {_LAST_SIGNAL}")
    return number
