"""A reboot that was ordered, as it is written down: it outlives the agent, and tells the next one.

    started --delay--> written down --> ordered --> the agent is stopped with the host
                                                         next start: another boot id: succeeded
                                                                     the same, and patience is over: failed

What is written down is on disk before the order, and a command that has it is never begun again, so nothing
that happens in between can make a host reboot twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from outrider.engines.commands.outliving import Remember
from outrider.engines.commands.power import Power


class RebootMark(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="reboot", forbid_unknown_fields=True
):
    """A reboot was ordered at unix time `ordered` under the boot id `boot`, to come within `patience` s."""

    boot: str
    ordered: float
    patience: float


class RebootTold(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed of a reboot that came: unix times, both boot ids, and the seconds in between."""

    ordered: float
    back: float
    seconds: float
    boot_before: str
    boot_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboots:
    """What a reboot takes.

    `boot` names the boot that runs.
    """

    remember: Remember
    power: Power
    boot: Callable[[], str]


def mark_of(packed: bytes) -> RebootMark | None:
    """Read what was written down of a command; None when it is something else."""
    try:
        return msgspec.msgpack.decode(packed, type=RebootMark)
    except msgspec.DecodeError:
        return None
