r"""The trial of a new version: what is written in which order, as pure rules without a disk or a clock.

    ready --the launcher--> begun --the center has answered--> good
                              |  \--it was given up, with a reason--> failed
                              \--found again by a launcher: it ended before it proved good

A trial is over when its file is gone. Each act below is one durable, atomic write; whatever two of them a
host is killed between, `at_start` of what is then on disk leads on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

READY: Final = "ready"
BEGUN: Final = "begun"
FAILED: Final = "failed"
GOOD: Final = "good"
STAGES: Final = (READY, BEGUN, FAILED, GOOD)

CURRENT: Final = "current"
PREVIOUS: Final = "previous"

PATIENCE: Final = 60.0
"""Seconds that a new version gets to reach the center before it gives itself up, unless told otherwise."""
_ALARM_FACTOR: Final = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A version that has not proved good yet; versions are named by their folders.

    `previous` runs again when it fails (empty: there is none). `command` is the command that asked for it.
    It has `patience` seconds to reach the center. `begun` is when the launcher started it, on the monotonic
    clock of that boot. `reason` is why it `failed`.
    """

    version: str
    previous: str
    stage: str = READY
    command: str = ""
    patience: float = PATIENCE
    reason: str = ""
    begun: float = 0.0

    @property
    def alarm(self) -> int:
        """Seconds after which the kernel ends a version that did not even give itself up."""
        return math.ceil(self.patience * _ALARM_FACTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the last trial ended; `reason` is empty when it went well."""

    version: str
    previous: str
    good: bool
    reason: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is on disk: where both links lead (None: nowhere), the trial, and the versions that can run here.

    `fitting` holds the installed versions that are made for the Python that looks.
    """

    current: str | None
    previous: str | None
    trial: Trial | None
    fitting: frozenset[str]


@dataclass(frozen=True, slots=True)
class Point:
    """Let a link (`CURRENT` or `PREVIOUS`) lead to a version."""

    link: str
    version: str


@dataclass(frozen=True, slots=True)
class WriteTrial:
    """Write down where the trial stands."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class RemoveTrial:
    """The trial is over."""


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """Write down how a trial ended."""

    outcome: Outcome


Act = Point | WriteTrial | RemoveTrial | WriteOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a launcher is to do: the acts, in order; then run `version`, or fetch one when it is None.

    A version on trial is run with an `alarm` of that many seconds.
    """

    acts: tuple[Act, ...]
    version: str | None
    alarm: int = 0

    @property
    def on_trial(self) -> bool:
        """Whether the version has not proved good yet."""
        return self.alarm > 0


def at_start(state: State, now: float) -> Start:
    """Decide what a launcher starts; `now` is the monotonic clock."""
    trial = state.trial
    if trial is None:
        return _in_use(state, ())
    if trial.stage == GOOD:
        return _in_use(state, settled(trial))
    if trial.stage != READY:
        return _rolled_back(state, trial, _why(trial, now))
    if trial.version not in state.fitting:
        return _rolled_back(state, trial, f"{trial.version} is not there any more, or not for this Python")
    begun = replace(trial, stage=BEGUN, begun=now)
    acts = (WriteTrial(begun), Point(CURRENT, trial.version))
    return Start(acts=acts, version=trial.version, alarm=trial.alarm)


def confirmed(trial: Trial) -> tuple[Act, ...]:
    """What the version on trial writes down once the center has answered it."""
    return (WriteTrial(replace(trial, stage=GOOD)), *settled(trial))


def settled(trial: Trial) -> tuple[Act, ...]:
    """What is left to write down of a version that proved good."""
    previous = (Point(PREVIOUS, trial.previous),) if trial.previous else ()
    return (*previous, WriteOutcome(_outcome(trial, "")), RemoveTrial())


def given_up(trial: Trial, reason: str) -> tuple[Act, ...]:
    """What a version on trial writes down before it makes way for the one before it."""
    return (WriteTrial(replace(trial, stage=FAILED, reason=reason)),)


def never_begun(trial: Trial, reason: str) -> tuple[Act, ...]:
    """What is written down of a trial that no launcher could begin."""
    return (WriteOutcome(_outcome(trial, reason)), RemoveTrial())


def without_trial(state: State) -> State:
    """The state as it would be if nothing were tried."""
    return replace(state, trial=None)


def after(state: State, act: Act) -> State:
    """The state that an act leaves."""
    match act:
        case Point(link="current", version=version):
            return replace(state, current=version)
        case Point(version=version):
            return replace(state, previous=version)
        case WriteTrial(trial=trial):
            return replace(state, trial=trial)
        case RemoveTrial():
            return replace(state, trial=None)
        case WriteOutcome():
            return state


def _in_use(state: State, acts: tuple[Act, ...]) -> Start:
    for act in acts:
        state = after(state, act)
    for version in (state.current, state.previous):
        if version is not None and version in state.fitting:
            if version != state.current:
                acts = (*acts, Point(CURRENT, version))
            return Start(acts=acts, version=version)
    return Start(acts=acts, version=None)


def _rolled_back(state: State, trial: Trial, reason: str) -> Start:
    back = (Point(CURRENT, trial.previous),) if trial.previous and state.current != trial.previous else ()
    return _in_use(state, (*back, WriteOutcome(_outcome(trial, reason)), RemoveTrial()))


def _outcome(trial: Trial, reason: str) -> Outcome:
    return Outcome(
        version=trial.version,
        previous=trial.previous,
        good=not reason,
        reason=reason,
        command=trial.command,
    )


def _why(trial: Trial, now: float) -> str:
    if trial.stage == FAILED and trial.reason:
        return trial.reason
    lived = now - trial.begun
    if lived < 0:
        return "the host was restarted before it had reached the center"
    if lived >= trial.alarm:
        return f"it hung: {trial.alarm} s after its start it had neither reached the center nor given up"
    return f"it ended {lived:.0f} s after its start, before it had reached the center"
