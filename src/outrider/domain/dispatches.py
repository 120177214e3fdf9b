"""The rules of a dispatch: one command for many hosts, so many at a time, until too many have failed."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from outrider.domain.command_states import ACTIVE, CommandState
from outrider.domain.errors import Invalid


class DispatchState(StrEnum):
    """Where a dispatch stands. All but `running` are its verdict, though hosts may still be at work."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Every host was asked, and not all succeeded."""
    STOPPED = "stopped"
    """More hosts failed than were allowed to: the others were not asked."""
    CANCELLED = "cancelled"


class Offline(StrEnum):
    """What becomes of hosts that are not there when a dispatch begins."""

    WAIT = "wait"
    """They get their command when they come, until its time to live is over."""
    SKIP = "skip"
    """They are left out, and named."""


FAILURES: Final = frozenset({CommandState.FAILED, CommandState.TIMED_OUT, CommandState.INTERRUPTED})
"""Ends that count against `max_failures`: the command ran there, or began to, and did not succeed."""
RETRIED: Final = FAILURES | {CommandState.EXPIRED, CommandState.CANCELLED}
"""Ends after which a host may be asked again."""

_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)\s*%")
_WHOLE: Final = 100.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How carefully a dispatch goes. None is without a limit."""

    #: How many hosts may be at work at once.
    concurrency: int | None = None
    #: How many may fail before no more are asked.
    max_failures: int | None = None


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a dispatch's commands are in each state, and how many of the queued ones are `held`.

    A held command waits for its turn: it is not released to its host yet.
    """

    states: Mapping[CommandState, int]
    held: int = 0

    @property
    def failures(self) -> int:
        """How many have failed."""
        return sum(self.states.get(state, 0) for state in FAILURES)

    @property
    def active(self) -> int:
        """How many have not ended, held ones among them."""
        return sum(self.states.get(state, 0) for state in ACTIVE)

    @property
    def at_work(self) -> int:
        """How many have been released and have not ended."""
        return self.active - self.held

    @property
    def ended(self) -> int:
        """How many have ended."""
        return sum(self.states.values()) - self.active


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is to happen to a dispatch now."""

    #: How many held commands may be released now.
    release: int = 0
    #: Its new state; None while nothing changes.
    state: DispatchState | None = None
    #: Whether nothing is left to wait for.
    is_over: bool = False


def decide(state: DispatchState, limits: Limits, tally: Tally, *, time_is_over: bool) -> Decision:
    """Say what is to happen. With `time_is_over`, silent hosts are no longer waited for.

    Failures are looked at before anything is released: what would go beyond the limit is never begun.
    """
    if state is DispatchState.RUNNING and _has_failed(limits, tally) and tally.active:
        state = DispatchState.STOPPED
        is_over = tally.at_work == 0
        return Decision(state=state, is_over=is_over)
    left = tally.active
    if time_is_over:
        left -= tally.states.get(CommandState.UNKNOWN, 0)
    if state is not DispatchState.RUNNING:
        return Decision(is_over=left == 0)
    if left == 0:
        return Decision(state=_verdict(limits, tally), is_over=True)
    if limits.concurrency is None:
        return Decision(release=tally.held)
    return Decision(release=max(0, min(limits.concurrency - tally.at_work, tally.held)))


def _has_failed(limits: Limits, tally: Tally) -> bool:
    return limits.max_failures is not None and tally.failures > limits.max_failures


def _verdict(limits: Limits, tally: Tally) -> DispatchState:
    """Say how a dispatch that asked every host went. Failures that were allowed leave it a success."""
    succeeded = tally.states.get(CommandState.SUCCEEDED, 0)
    others = sum(tally.states.values()) - succeeded
    if others == 0:
        # Of hosts that were all deleted meanwhile nobody can say that they succeeded.
        return DispatchState.SUCCEEDED if succeeded else DispatchState.FAILED
    if limits.max_failures is not None and others == tally.failures <= limits.max_failures:
        return DispatchState.SUCCEEDED
    return DispatchState.FAILED


def allowed_failures(given: int | str | None, hosts: int) -> int | None:
    """Read `max_failures`: a number, or a share such as `10%` of `hosts`, rounded down. Raises `Invalid`."""
    if given is None:
        return None
    if isinstance(given, str) and given.strip().isdecimal():
        given = int(given)
    if isinstance(given, int):
        if given < 0:
            raise Invalid(
                "max_failures can't be negative; 0 stops at the first failure.", field="max_failures"
            )
        return given
    share = _SHARE.fullmatch(given.strip())
    if share is None or float(share[1]) > _WHOLE:
        raise Invalid(
            f"max_failures is a number of hosts, such as 5, or a share, such as 10%; not {given[:40]!r}.",
            field="max_failures",
        )
    return math.floor(hosts * float(share[1]) / _WHOLE)
