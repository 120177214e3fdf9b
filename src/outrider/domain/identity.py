"""Which agent is speaking: the same process, the same spool, or a copy of either.

A disk can be cloned, a spool restored from a backup, a machine rolled back to a snapshot. In each
case what the agent holds may have been run elsewhere or before, and nothing may run twice.
"""

from enum import Enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from outrider.domain.ids import AgentId, DeviceId

Name = Annotated[str, Meta(max_length=200)]

STARTS_KEPT: Final = 32
"""How many earlier starts an agent names: more restarts than this without a link look like a copy."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which agent, which spool, which process and which machine is speaking.

    `incarnation` names the spool and changes when the spool is made anew. `generation` counts what
    the spool took in: a lower one than the center has seen means an old copy of the spool. `start`
    names this process, `earlier_starts` the ones before it, newest first: a process whose chain does
    not hold the last start the center saw is a fork, that is a cloned disk. `machine` is a digest of
    what a clone does not share (machine id, product uuid, network card addresses).
    """

    agent_id: AgentId
    device_id: DeviceId
    incarnation: Name
    generation: Annotated[int, Meta(ge=0, lt=2**62)]
    start: Name
    earlier_starts: Annotated[tuple[Name, ...], Meta(max_length=STARTS_KEPT)]
    boot: Name
    machine: Name


class KnownIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What the center saw of an agent last; all None before its first link."""

    incarnation: str | None = None
    generation: int = 0
    start: str | None = None
    machine: str | None = None


class Verdict(Enum):
    """What an agent's identity tells, compared with what was seen last."""

    FIRST = "first"
    SAME = "same"
    RESTARTED = "restarted"
    NEW_SPOOL = "new_spool"
    OLD_SPOOL = "old_spool"
    FORKED = "forked"
    MOVED = "moved"

    @property
    def keeps_record(self) -> bool:
        """Tell whether the agent remembers all it was given: what it does not hold it never ran."""
        return self in (Verdict.FIRST, Verdict.SAME, Verdict.RESTARTED)

    @property
    def may_be_a_copy(self) -> bool:
        """Tell whether what the agent holds may have been run by another."""
        return self in (Verdict.OLD_SPOOL, Verdict.FORKED, Verdict.MOVED)


def judge(known: KnownIdentity, said: Identity, *, center_restored: bool = False) -> Verdict:
    """Compare an agent's identity with what was seen last.

    With `center_restored` the center's memory is the old one: its last start proves nothing.
    """
    if known.incarnation is None:
        return Verdict.FIRST
    if said.incarnation != known.incarnation:
        return Verdict.NEW_SPOOL
    if said.generation < known.generation:
        return Verdict.OLD_SPOOL
    return Verdict.SAME if said.start == known.start else _judge_start(known, said, center_restored)


def _judge_start(known: KnownIdentity, said: Identity, center_restored: bool) -> Verdict:  # noqa: FBT001 (passed on)
    if known.start not in said.earlier_starts and not center_restored:
        return Verdict.FORKED
    if known.machine is not None and said.machine != known.machine:
        return Verdict.MOVED
    return Verdict.RESTARTED
