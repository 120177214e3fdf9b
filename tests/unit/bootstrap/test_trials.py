"""The trial of a new version: wherever a host is killed, what starts next is a version that runs."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.bootstrap.trials import (
    BEGUN,
    CURRENT,
    FAILED,
    GOOD,
    READY,
    STAGES,
    Act,
    Outcome,
    Point,
    RemoveTrial,
    Start,
    State,
    Trial,
    WriteOutcome,
    WriteTrial,
    after,
    at_start,
    confirmed,
    given_up,
    never_begun,
    without_trial,
)

OLD, NEW, OLDER = "old", "new", "older"
BOTH = frozenset({OLD, NEW})
TRIAL = Trial(version=NEW, previous=OLD, command="cmd_1")


def state(trial: Trial | None = None, *, current: str | None = OLD, fitting: frozenset[str] = BOTH) -> State:
    """A host with an old version in use."""
    return State(current=current, previous=None, trial=trial, fitting=fitting)


def outcomes(acts: tuple[Act, ...]) -> list[Outcome]:
    """What the acts write down as an end of a trial."""
    return [act.outcome for act in acts if isinstance(act, WriteOutcome)]


def carried_out(before: State, acts: tuple[Act, ...]) -> State:
    """The state after all of the acts."""
    for act in acts:
        before = after(before, act)
    return before


def test_without_a_trial_the_version_in_use_is_started() -> None:
    """Nothing is written, and nothing is on trial."""
    assert at_start(state(), 0.0) == Start(acts=(), version=OLD)


def test_a_trial_that_is_ready_is_marked_begun_before_the_link_is_switched() -> None:
    """A launcher that is killed in between leaves what the next one takes for a failure."""
    start = at_start(state(TRIAL), 12.5)
    begun = replace(TRIAL, stage=BEGUN, begun=12.5)
    assert start == Start(acts=(WriteTrial(begun), Point(CURRENT, NEW)), version=NEW, alarm=75)


def test_a_trial_that_had_begun_is_gone_back_from() -> None:
    """The link leads to the old version, the reason is on disk, and then the trial is over."""
    start = at_start(state(replace(TRIAL, stage=BEGUN, begun=10.0), current=NEW), 13.0)
    assert start.version == OLD
    assert not start.on_trial
    assert start.acts[0] == Point(CURRENT, OLD)
    assert start.acts[-1] == RemoveTrial()
    (outcome,) = outcomes(start.acts)
    assert not outcome.good
    assert (outcome.version, outcome.previous, outcome.command) == (NEW, OLD, "cmd_1")
    assert outcome.reason == "it ended 3 s after its start, before it had reached the center"


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (10.0 + TRIAL.alarm, "hung"),
        (2.0, "the host was restarted"),
        (10.4, "it ended 0 s after its start"),
    ],
)
def test_a_launcher_says_what_it_can_of_a_version_that_just_died(now: float, reason: str) -> None:
    """How long it lived tells a version that hung from one that crashed; a clock that began anew a reboot."""
    start = at_start(state(replace(TRIAL, stage=BEGUN, begun=10.0), current=NEW), now)
    assert reason in outcomes(start.acts)[0].reason


def test_a_version_that_gave_itself_up_has_said_why() -> None:
    """Its own reason is what is kept."""
    begun = replace(TRIAL, stage=BEGUN, begun=1.0)
    failed = carried_out(state(begun, current=NEW), given_up(begun, "the center can't be reached: refused"))
    start = at_start(failed, 62.0)
    assert start.version == OLD
    assert [outcome.reason for outcome in outcomes(start.acts)] == ["the center can't be reached: refused"]


def test_a_version_that_proved_good_stays() -> None:
    """The one before it is kept as the last good one."""
    begun = replace(TRIAL, stage=BEGUN)
    after_all = carried_out(state(begun, current=NEW), confirmed(begun))
    assert (after_all.current, after_all.previous, after_all.trial) == (NEW, OLD, None)
    assert outcomes(confirmed(begun)) == [
        Outcome(version=NEW, previous=OLD, good=True, reason="", command="cmd_1")
    ]


def test_a_version_killed_while_it_was_being_confirmed_stays() -> None:
    """Its proof is on disk first; a launcher finishes the rest."""
    begun = replace(TRIAL, stage=BEGUN)
    first, *_ = confirmed(begun)
    start = at_start(carried_out(state(begun, current=NEW), (first,)), 5.0)
    assert (start.version, start.on_trial) == (NEW, False)
    assert [outcome.good for outcome in outcomes(start.acts)] == [True]


def test_a_version_that_does_not_run_here_is_not_tried() -> None:
    """It was removed, or the system's Python changed between the download and the restart."""
    start = at_start(state(TRIAL, fitting=frozenset({OLD})), 0.0)
    assert (start.version, start.on_trial) == (OLD, False)
    assert "not for this Python" in outcomes(start.acts)[0].reason


def test_a_python_that_no_version_fits_has_one_fetched() -> None:
    """Nothing is started, and nothing changed."""
    assert at_start(state(fitting=frozenset()), 0.0) == Start(acts=(), version=None)


def test_a_python_that_came_back_gets_the_version_it_had() -> None:
    """The last good version is used where it fits and the newest does not."""
    before = State(current=NEW, previous=OLD, trial=None, fitting=frozenset({OLD}))
    assert at_start(before, 0.0) == Start(acts=(Point(CURRENT, OLD),), version=OLD)


def test_a_trial_that_failed_with_nothing_to_go_back_to_has_another_fetched() -> None:
    """After a change of Python the old version is still what is in use, and still does not run."""
    begun = replace(TRIAL, stage=BEGUN)
    start = at_start(state(begun, current=NEW, fitting=frozenset({NEW})), 1.0)
    assert start.version is None
    assert carried_out(state(begun, current=NEW), start.acts).current == OLD


def test_a_trial_that_no_launcher_could_begin_is_over_with_a_reason() -> None:
    """The version that runs says so, where the launcher's disk did not take its first note."""
    assert outcomes(never_begun(TRIAL, "disk full"))[0].reason == "disk full"
    assert carried_out(state(TRIAL), never_begun(TRIAL, "disk full")).trial is None
    assert without_trial(state(TRIAL)) == state()


@dataclass
class Host:
    """A host whose processes are killed at any moment: what is on disk, and what runs."""

    state: State
    good: set[str]
    running: Start | None = None
    now: float = 100.0
    ended: list[Outcome] = field(default_factory=list)

    def write(self, acts: tuple[Act, ...], upto: int | None) -> bool:
        """Carry acts out; with `upto` the process is killed after that many."""
        for act in acts[:upto]:
            self.state = after(self.state, act)
            if isinstance(act, WriteTrial) and act.trial.stage == GOOD:
                self.good.add(act.trial.version)
            if isinstance(act, WriteOutcome):
                self.ended.append(act.outcome)
        if upto is not None and upto < len(acts):
            self.running = None
            return False
        return True

    def launch(self, upto: int | None = None) -> None:
        """Start the launcher; it becomes a version unless it is killed before."""
        self.now += 1
        start = at_start(self.state, self.now)
        if self.write(start.acts, upto):
            self.running = start

    def propose(self, version: str) -> None:
        """Have the running version ask for another to be tried."""
        if self.running is not None and self.running.version is not None and self.state.trial is None:
            trial = Trial(version=version, previous=self.running.version)
            self.write((WriteTrial(trial),), None)

    def confirm(self, upto: int | None) -> None:
        """Let the version on trial be answered by the center."""
        running, trial = self.running, self.state.trial
        if running is not None and running.on_trial and trial is not None:
            whole = self.write(confirmed(trial), upto)
            self.running = replace(running, alarm=0) if whole else None

    def give_up(self) -> None:
        """Let the version on trial give up and become the launcher."""
        if self.running is not None and self.running.on_trial and self.state.trial is not None:
            self.write(given_up(self.state.trial, "away"), None)
            self.launch()

    def die(self) -> None:
        """Kill what runs."""
        self.running = None


VERSIONS = st.sampled_from([OLD, NEW, OLDER])
CUT = st.none() | st.integers(min_value=0, max_value=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("launch"), CUT),
        st.tuples(st.just("propose"), VERSIONS),
        st.tuples(st.just("confirm"), CUT),
        st.tuples(st.just("give_up")),
        st.tuples(st.just("die")),
    ),
    max_size=30,
)


@given(STEPS)
def test_wherever_it_is_killed_a_host_comes_up_with_a_version_that_proved_good(steps: list[tuple]) -> None:  # type: ignore[type-arg]  # pairs of a method's name and what it takes
    """Any order of starts, updates, proofs and kills between any two writes leaves a host that comes up.

    What runs is good, or on trial; once nobody proposes anything, a start that nobody kills runs a good one
    after at most one more try, every trial has one last outcome that is true, and none is left behind.
    """
    host = Host(State(current=OLD, previous=None, trial=None, fitting=frozenset({OLD, NEW, OLDER})), {OLD})
    for name, *arguments in steps:
        getattr(host, name)(*arguments)
        if host.running is not None:
            assert host.running.version is not None
            assert host.running.on_trial or host.running.version in host.good
    for _ in range(2):
        host.die()
        host.launch()
    assert host.running is not None
    assert host.running.version in host.good
    assert not host.running.on_trial
    assert host.state.trial is None
    assert host.state.current == host.running.version
    if host.ended and host.ended[-1].good:
        assert host.ended[-1].version in host.good


STATES = st.builds(
    State,
    current=st.none() | VERSIONS,
    previous=st.none() | VERSIONS,
    trial=st.none()
    | st.builds(
        Trial,
        version=VERSIONS,
        previous=VERSIONS | st.just(""),
        stage=st.sampled_from(STAGES),
        reason=st.just("") | st.just("why"),
        begun=st.floats(0, 1000),
    ),
    fitting=st.frozensets(VERSIONS),
)


@given(STATES, st.floats(0, 2000))
def test_a_start_settles_in_one_go(before: State, now: float) -> None:
    """Whatever is on disk: what is started fits, and a second start asks for nothing more unless it tries."""
    start = at_start(before, now)
    left = carried_out(before, start.acts)
    assert start.version is None or start.version in before.fitting
    if start.on_trial:
        assert left.trial is not None
        assert left.trial.stage == BEGUN
        assert left.current == start.version
        return
    assert left.trial is None
    assert at_start(left, now) == Start(acts=(), version=start.version)


@given(STATES)
def test_every_trial_that_is_over_has_an_outcome(before: State) -> None:
    """A trial's file never goes without a word on how it ended, written before."""
    acts = at_start(before, 0.0).acts
    if RemoveTrial() in acts:
        kinds = [type(act) for act in acts]
        assert kinds.index(WriteOutcome) < kinds.index(RemoveTrial)
        (outcome,) = outcomes(acts)
        assert before.trial is not None
        assert outcome.good == (before.trial.stage == GOOD)
        assert outcome.good or outcome.reason


@given(st.floats(1, 600))
def test_the_alarm_is_later_than_the_patience(patience: float) -> None:
    """A version that does not hang gives itself up, with a reason, before it is ended without one."""
    assert Trial(version=NEW, previous=OLD, patience=patience).alarm > patience


def test_the_stages_are_the_four() -> None:
    """The words that are on disk are part of what two releases share."""
    assert STAGES == (READY, BEGUN, FAILED, GOOD)
