"""The supervisor: start in order, restart with back-off, verdicts, stop in reverse order, the tree."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.backoff import Backoff
from outrider.kit.supervise import (
    NotReady,
    Ready,
    ServiceSnapshot,
    State,
    StayDown,
    StopAll,
    Supervisor,
)
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

_STEADY = Backoff(1, 30, jitter=0)


@dataclass
class Puppet:
    """A service that does what its test says and notes in `diary` what happens to it."""

    name: str
    diary: list[str] = field(default_factory=list)
    ready_at_once: bool = True
    #: What each attempt does once it has started, the last one from then on.
    acts: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_stop: Callable[[], Awaitable[None]] | None = None
    attempts: int = 0
    ready: Ready | None = None

    async def serve(self, ready: Ready) -> None:
        """Play the attempt's act, or work until cancelled."""
        self.attempts += 1
        self.ready = ready
        self.diary.append(f"{self.name} starts")
        if self.ready_at_once:
            ready()
        try:
            if self.acts:
                await self.acts[min(self.attempts, len(self.acts)) - 1]()
            else:
                await _work()
        finally:
            if self.on_stop is not None:
                await self.on_stop()
            self.diary.append(f"{self.name} stops")


async def _work() -> None:
    await asyncio.Event().wait()


async def _end() -> None:
    await asyncio.sleep(0)


def _raise(error: Exception) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        await asyncio.sleep(0)
        raise error

    return act


@pytest.fixture
def clock() -> TurnedClock:
    """The clock of the tree under test."""
    return TurnedClock()


@pytest.fixture
def tree(clock: TurnedClock) -> Supervisor:
    """A supervisor with steady delays of 1, 2, 4 ... 30 seconds."""
    return Supervisor("tree", clock=clock, backoff=_STEADY)


def _states(supervisor: Supervisor) -> dict[str, str]:
    return {child.name: child.state.value for child in supervisor.snapshot().children}


def _serve(tasks: Tasks, supervisor: Supervisor) -> asyncio.Task[None]:
    return tasks.start(supervisor.name, supervisor.serve(lambda: None))


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def test_each_starts_when_the_one_before_is_ready(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """Services start in the order they were added; the tree is ready when the last of them is."""
    diary: list[str] = []
    first, second = (Puppet(name, diary, ready_at_once=False) for name in ("first", "second"))
    tree.add(first)
    tree.add(second)
    said_ready: list[str] = []
    serving = tasks.start("tree", tree.serve(lambda: said_ready.append("tree")))
    waiting = tasks.start("waiting", tree.wait_ready())
    await clock.settle()
    assert (diary, _states(tree)) == (["first starts"], {"first": "starting", "second": "waiting"})

    assert first.ready is not None
    first.ready()
    await clock.settle()
    assert diary == ["first starts", "second starts"]
    assert (said_ready, waiting.done()) == ([], False)

    assert second.ready is not None
    second.ready()
    await waiting
    assert (said_ready, _states(tree)) == (["tree"], {"first": "up", "second": "up"})
    assert tree.snapshot().state is State.UP
    await _stop(serving)


async def test_they_stop_in_reverse_order(tree: Supervisor, tasks: Tasks) -> None:
    """On a stop each service has ended, its clean-up included, before the one started earlier is stopped."""
    diary: list[str] = []

    async def slowly() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    for name in "abc":
        tree.add(Puppet(name, diary, on_stop=slowly))
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    await _stop(serving)
    assert diary == ["a starts", "b starts", "c starts", "c stops", "b stops", "a stops"]
    assert serving.cancelled()
    assert set(_states(tree).values()) == {"stopped"}


async def test_a_stop_before_all_are_started(tree: Supervisor, clock: TurnedClock, tasks: Tasks) -> None:
    """A stop during the start ends what runs, starts nothing more, and tells who waits for readiness."""
    diary: list[str] = []
    tree.add(Puppet("a", diary, ready_at_once=False))
    tree.add(Puppet("b", diary))
    serving = _serve(tasks, tree)
    waiting = tasks.start("waiting", tree.wait_ready())
    await clock.settle()
    await _stop(serving)
    assert diary == ["a starts", "a stops"]
    with pytest.raises(NotReady, match="tree stopped before it was ready"):
        await waiting


async def test_a_crash_is_followed_by_a_restart(tree: Supervisor, clock: TurnedClock, tasks: Tasks) -> None:
    """A service that raises is started again after delays that grow; its siblings notice nothing."""
    diary: list[str] = []
    crashing = Puppet("crashing", diary, acts=[_raise(LookupError("gone"))])
    tree.add(crashing)
    tree.add(Puppet("steady"))
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    attempts = []
    for delay in (0, 1, 2, 4, 8):
        await clock.advance(delay)
        attempts.append(crashing.attempts)
    assert attempts == [1, 2, 3, 4, 5]

    crashed, steady = tree.snapshot().children
    assert (crashed.state, crashed.restarts, crashed.restarting_in) == (State.RESTARTING, 4, 16)
    assert crashed.last_error == "LookupError: gone"
    assert (steady.state, steady.restarts, steady.last_error) == (State.UP, 0, None)
    await _stop(serving)


async def test_a_crash_before_ready_holds_up_the_next(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """What others rely on has to come up first, however often it takes."""
    tree.add(Puppet("store", ready_at_once=False, acts=[_raise(OSError()), _raise(OSError()), _end]))
    tree.add(Puppet("api"))
    serving = _serve(tasks, tree)
    await clock.settle()
    assert _states(tree) == {"store": "restarting", "api": "waiting"}
    await clock.advance(1)
    assert _states(tree) == {"store": "restarting", "api": "waiting"}
    await clock.advance(2)
    assert _states(tree) == {"store": "stopped", "api": "up"}
    await _stop(serving)


async def test_a_minute_of_work_forgives_earlier_crashes(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """A service that was ready for a minute starts with the shortest delay again; just less is not enough."""
    works_for = [59.0, 59.0, 59.0, 60.0, 59.0]
    remaining = iter(works_for)

    async def work_then_crash() -> None:
        await clock.sleep(next(remaining))
        raise OSError

    tree.add(Puppet("service", acts=[work_then_crash]))
    serving = _serve(tasks, tree)
    delays = []
    for seconds in works_for:
        await clock.advance(seconds)
        delay = tree.snapshot().children[0].restarting_in
        assert delay is not None
        delays.append(delay)
        await clock.advance(delay)
    assert delays == [1, 2, 4, 1, 2]
    await _stop(serving)


async def test_first_failures_are_told_whole_and_repeats_in_a_line(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """The first crash of a row is logged with its traceback, the same again without, another kind with."""
    acts = [_raise(OSError("x")), _raise(OSError("x")), _raise(LookupError("y")), _work]
    tree.add(Puppet("service", acts=acts))
    serving = _serve(tasks, tree)
    await clock.advance(10)
    told = [
        (type(record.__dict__["outrider_fields"]["error"]), record.exc_info is not None)
        for record in caplog.records
        if record.getMessage() == "service crashed"
    ]
    assert told == [(OSError, True), (OSError, False), (LookupError, True)]
    await _stop(serving)


async def test_a_service_that_returns_is_done(tree: Supervisor, clock: TurnedClock, tasks: Tasks) -> None:
    """Returning is no crash: the service is not started again, and the tree goes on."""
    done = Puppet("done", ready_at_once=False, acts=[_end])
    tree.add(done)
    tree.add(Puppet("next"))
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    await clock.advance(3600)
    assert (done.attempts, _states(tree)) == (1, {"done": "stopped", "next": "up"})
    assert not serving.done()
    await _stop(serving)


async def test_a_service_may_ask_to_stay_down(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """StayDown is final for the service, is reported with its reason, and lets the next one start."""
    down = Puppet("api", ready_at_once=False, acts=[_raise(StayDown("port 3840 is taken"))])
    tree.add(down)
    tree.add(Puppet("next"))
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    await clock.advance(3600)
    assert (down.attempts, _states(tree)) == (1, {"api": "down", "next": "up"})
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.__dict__["outrider_fields"] == {"service": "tree/api", "reason": "port 3840 is taken"}
    assert tree.snapshot().children[0].last_error == "StayDown: port 3840 is taken"
    await _stop(serving)


async def test_stop_all_stops_the_tree_to_the_root(clock: TurnedClock, tasks: Tasks) -> None:
    """StopAll from a leaf stops every level in reverse order and comes out of the root with its exit code."""
    diary: list[str] = []
    root, branch = Supervisor("root", clock=clock), Supervisor("branch", clock=clock)
    ask = asyncio.Event()

    async def act() -> None:
        await ask.wait()
        message = "the disk is full"
        raise StopAll(message, exit_code=75)

    root.add(Puppet("before", diary))
    root.add(branch)
    root.add(Puppet("after", diary))
    branch.add(Puppet("steady", diary))
    branch.add(Puppet("leaf", diary, acts=[act]))
    serving = _serve(tasks, root)
    await root.wait_ready()
    diary.clear()
    ask.set()
    with pytest.raises(StopAll, match="the disk is full") as caught:
        await serving
    assert caught.value.exit_code == 75
    assert diary == ["leaf stops", "steady stops", "after stops", "before stops"]
    with pytest.raises(NotReady, match="the disk is full"):
        await root.wait_ready()


@pytest.mark.parametrize("verdict", [StopAll("stop"), StayDown("down")])
async def test_verdicts_are_found_in_groups(tree: Supervisor, tasks: Tasks, verdict: Exception) -> None:
    """A verdict raised inside a TaskGroup counts as if the service had raised it itself."""
    service = Puppet("service", acts=[_raise(ExceptionGroup("tasks", [ExceptionGroup("inner", [verdict])]))])
    tree.add(service, essential=True)
    with pytest.raises(StopAll):
        await _serve(tasks, tree)
    assert service.attempts == 1


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (_end, "tree/heart ended, and nothing works without it"),
        (_raise(StayDown("no disk")), "tree/heart stays down, and nothing works without it: no disk"),
    ],
)
async def test_nothing_works_without_an_essential_service(
    tree: Supervisor, tasks: Tasks, act: Callable[[], Awaitable[None]], reason: str
) -> None:
    """When an essential service returns or stays down, the tree stops and says why."""
    diary: list[str] = []
    tree.add(Puppet("other", diary))
    tree.add(Puppet("heart", diary, acts=[act]), essential=True)
    with pytest.raises(StopAll) as caught:
        await _serve(tasks, tree)
    assert caught.value.reason == reason
    assert diary[-1] == "other stops"


async def test_an_essential_service_that_crashes_is_restarted(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """A crash is no reason to stop everything, and being stopped with the tree is none either."""
    service = Puppet("heart", acts=[_raise(OSError()), _work])
    tree.add(service, essential=True)
    serving = _serve(tasks, tree)
    await clock.advance(1)
    assert (service.attempts, _states(tree)) == (2, {"heart": "up"})
    await _stop(serving)
    assert serving.cancelled()


async def test_a_cancellation_from_below_is_a_crash(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """A service whose inner work was cancelled under it is restarted, not mistaken for stopped."""

    async def act() -> None:
        inner = asyncio.get_running_loop().create_future()
        inner.cancel()
        await inner

    service = Puppet("service", acts=[act, _work])
    tree.add(service)
    serving = _serve(tasks, tree)
    await clock.advance(1)
    assert (service.attempts, _states(tree)) == (2, {"service": "up"})
    await _stop(serving)


async def test_one_that_does_not_stop_is_left_behind(
    clock: TurnedClock, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that ignores its stop is given its grace, then named in the log; the others are stopped."""
    diary: list[str] = []
    release = asyncio.Event()
    branch = Supervisor("branch", clock=clock, stop_grace=3)
    root = Supervisor("root", clock=clock, stop_grace=1)
    root.add(Puppet("first", diary))
    root.add(branch)
    branch.add(Puppet("second", diary))
    branch.add(Puppet("stuck", on_stop=lambda: _until(release)))
    serving = _serve(tasks, root)
    await root.wait_ready()
    diary.clear()
    serving.cancel()
    await clock.advance(2.9)
    assert (diary, serving.done()) == ([], False)
    await clock.advance(0.1)
    assert diary == ["second stops", "first stops"]
    assert serving.cancelled()
    assert root.stop_failures == ["branch/stuck"]
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["outrider_fields"] == {"service": "branch/stuck", "grace": 3}
    release.set()
    await clock.settle()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_second_cancellation_ends_the_patience(clock: TurnedClock, tasks: Tasks) -> None:
    """Cancelled again while it stops its services, the supervisor stops all the rest at once."""
    diary: list[str] = []
    release = asyncio.Event()
    root = Supervisor("root", clock=clock)
    root.add(Puppet("first", diary))
    root.add(Puppet("stuck", on_stop=lambda: _until(release)))
    serving = _serve(tasks, root)
    await root.wait_ready()
    serving.cancel()
    await clock.settle()
    assert diary == ["first starts"]
    serving.cancel()
    await clock.settle()
    assert diary == ["first starts", "first stops"]
    assert serving.cancelled()


async def test_a_failing_clean_up_does_not_stop_the_stop(
    tree: Supervisor, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that fails while it is being stopped is logged; the services before it are stopped too."""
    diary: list[str] = []
    tree.add(Puppet("first", diary))
    tree.add(Puppet("failing", on_stop=_raise(OSError("no disk"))))
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    await _stop(serving)
    assert diary == ["first starts", "first stops"]
    assert [record.getMessage() for record in caplog.records] == ["service failed while stopping"]
    assert tree.snapshot().children[1].last_error == "OSError: no disk"


async def test_services_can_be_added_while_it_runs(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """Once the tree is up, an added service starts at once, and none of them waits for another."""
    diary: list[str] = []
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    tree.add(Puppet("a", diary, ready_at_once=False))
    tree.add(Puppet("b", diary, ready_at_once=False))
    await clock.settle()
    assert diary == ["a starts", "b starts"]
    await _stop(serving)
    assert diary[2:] == ["b stops", "a stops"]


async def test_a_service_can_be_removed(tree: Supervisor, clock: TurnedClock, tasks: Tasks) -> None:
    """A removed service is stopped and forgotten; its name is free again."""
    diary: list[str] = []
    tree.add(Puppet("a", diary), essential=True)
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    await tree.remove("a")
    assert (diary, _states(tree)) == (["a starts", "a stops"], {})
    tree.add(Puppet("a", diary))
    await clock.settle()
    assert _states(tree) == {"a": "up"}
    with pytest.raises(KeyError):
        await tree.remove("unknown")
    assert not serving.done()
    await _stop(serving)


async def test_a_removed_essential_service_stops_nothing_else(tree: Supervisor, tasks: Tasks) -> None:
    """An essential service may be taken away on purpose, also one that answers its stop by returning."""

    async def until_stopped() -> None:
        with suppress(asyncio.CancelledError):
            await _work()

    tree.add(Puppet("heart", acts=[until_stopped]), essential=True)
    tree.add(Puppet("other"))
    serving = _serve(tasks, tree)
    await tree.wait_ready()
    await tree.remove("heart")
    assert (_states(tree), tree.stopping) == ({"other": "up"}, False)
    await _stop(serving)
    assert serving.cancelled()


async def test_removing_what_others_wait_for_lets_them_start(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """Taking away a service that never gets ready lets the ones behind it start."""
    tree.add(Puppet("never ready", ready_at_once=False))
    tree.add(Puppet("next"))
    serving = _serve(tasks, tree)
    await clock.settle()
    await tree.remove("never ready")
    await tree.wait_ready()
    assert _states(tree) == {"next": "up"}
    await _stop(serving)


async def test_names_are_unique_among_the_living(tree: Supervisor, clock: TurnedClock, tasks: Tasks) -> None:
    """A second service of a name is refused, unless the first has ended: then it takes its place."""
    tree.add(Puppet("a", acts=[_end]))
    with pytest.raises(ValueError, match="already has a service called a"):
        tree.add(Puppet("a"))
    serving = _serve(tasks, tree)
    await clock.settle()
    tree.add(Puppet("a"))
    await clock.settle()
    assert _states(tree) == {"a": "up"}
    await _stop(serving)


async def test_it_runs_once_at_a_time_and_again_after(
    tree: Supervisor, clock: TurnedClock, tasks: Tasks
) -> None:
    """A running supervisor can't be run twice; one that was stopped starts all its services afresh."""
    service = Puppet("service")
    tree.add(service)
    first = _serve(tasks, tree)
    await tree.wait_ready()
    with pytest.raises(RuntimeError, match="running already"):
        await tree.serve(lambda: None)
    await _stop(first)
    again = _serve(tasks, tree)
    await clock.settle()
    await tree.wait_ready()
    assert (service.attempts, _states(tree)) == (2, {"service": "up"})
    await _stop(again)


async def test_the_tree_prints_itself(clock: TurnedClock, tasks: Tasks) -> None:
    """Each line names a service, its state, since when, its restarts and its last error, safe to print."""
    clock.set_time(1_700_000_000)
    root = Supervisor("agent", clock=clock, backoff=_STEADY)
    apis = Supervisor("apis", clock=clock)
    root.add(apis)
    apis.add(Puppet("client"))
    apis.add(Puppet("edge", acts=[_raise(StayDown("port taken"))]))
    root.add(Puppet("link", acts=[_raise(OSError("cut\n\x1b[3m"))]))
    serving = _serve(tasks, root)
    await clock.advance(1)
    assert root.tree().splitlines() == [
        "agent  up since 2023-11-14T22:13:20Z",
        "├─ apis  up since 2023-11-14T22:13:20Z",
        "│  ├─ client  up since 2023-11-14T22:13:20Z",
        "│  └─ edge  down since 2023-11-14T22:13:20Z, last error: StayDown: port taken",
        r"└─ link  restarting in 2s since 2023-11-14T22:13:21Z, 1 restart, last error: OSError: cut\n\x1b[3m",
    ]
    await _stop(serving)


async def test_the_snapshot_is_json(tree: Supervisor, clock: TurnedClock, tasks: Tasks) -> None:
    """A snapshot survives the way through JSON unchanged."""
    tree.add(Puppet("link", acts=[_raise(OSError("cut"))]))
    serving = _serve(tasks, tree)
    await clock.advance(1)
    snapshot = tree.snapshot()
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=ServiceSnapshot) == snapshot
    await _stop(serving)


_ACTS = st.sampled_from(["work", "end", "crash", "stay down"])


@given(
    plans=st.lists(st.lists(_ACTS, min_size=1, max_size=4), max_size=5),
    turns=st.lists(st.floats(0, 20), max_size=6),
)
async def test_whatever_they_do_all_end_with_the_tree(plans: list[list[str]], turns: list[float]) -> None:
    """However services end and whenever the stop comes, nothing of them runs afterwards.

    Each service starts at most as often as its plan allows: never again after it returned or stayed down.
    """
    clock = TurnedClock()
    tree = Supervisor("tree", clock=clock, backoff=_STEADY)
    diary: list[str] = []
    acts = {"work": _work, "end": _end, "crash": _raise(OSError()), "stay down": _raise(StayDown())}
    puppets = [
        Puppet(str(number), diary, acts=[acts[word] for word in plan]) for number, plan in enumerate(plans)
    ]
    for puppet in puppets:
        tree.add(puppet)
    async with Tasks("test") as tasks:
        serving = _serve(tasks, tree)
        for turn in turns:
            await clock.advance(turn)
        await _stop(serving)
    assert sum(line.endswith("starts") for line in diary) == sum(line.endswith("stops") for line in diary)
    for puppet, plan in zip(puppets, plans, strict=True):
        last = next((index for index, word in enumerate(plan) if word != "crash"), None)
        assert last is None or puppet.attempts <= last + 1
    assert clock.sleepers == 0
