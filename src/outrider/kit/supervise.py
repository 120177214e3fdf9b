"""A tree of named services: started in order, restarted when they crash, stopped in reverse order.

A service is one `serve(ready)`: it prepares itself, calls `ready()` once others may rely on it, and works
until it is cancelled. A Supervisor is a service too, so trees nest. How a service ends decides what follows:

    it returns          it is done; it is not started again
    raises StayDown     it can't work here (its port is taken); it is not started again
    raises StopAll      the whole tree stops, up to the root
    raises anything     it crashed; it is restarted after a back-off
"""

import asyncio
import enum
import logging
import os
import random
import signal
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, NoReturn, Protocol, TypeVar

import msgspec

from outrider.kit import logs
from outrider.kit.backoff import Backoff
from outrider.kit.clock import Clock
from outrider.kit.printable import escape
from outrider.kit.tasks import Tasks, TasksClosed, TooManyTasks

__all__ = [
    "NotReady",
    "Ready",
    "Service",
    "ServiceSnapshot",
    "State",
    "StayDown",
    "StopAll",
    "Supervisor",
    "Tasks",
    "TasksClosed",
    "TooManyTasks",
    "run_until_signalled",
]

log = logs.get(__name__)

Verdict = TypeVar("Verdict", bound=Exception)
Ready = Callable[[], None]

DEFAULT_BACKOFF: Final = Backoff(0.2, 30)

# A service that has been ready for this long has recovered: its next crash counts as a first one.
_RECOVERED_AFTER: Final = 60.0


class Service(Protocol):
    """Something with a name that works until it is cancelled."""

    @property
    def name(self) -> str:
        """What the service is called in the tree and in the logs; unique among its siblings."""
        ...

    async def serve(self, ready: Ready) -> None:
        """Work until cancelled; call `ready` once what comes after may rely on this service."""
        ...


class StayDown(Exception):
    """Raised by a service that can't work here and asks not to be restarted."""


class StopAll(Exception):
    """Raised by a service when the whole tree must stop; `exit_code` is what the process then ends with."""

    def __init__(self, reason: str, *, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class NotReady(Exception):
    """The supervisor ended before its services were ready."""


class State(enum.Enum):
    """Where a service stands."""

    WAITING = "waiting"  # for a service before it to become ready
    STARTING = "starting"
    UP = "up"
    RESTARTING = "restarting"  # waits out its back-off
    DOWN = "down"  # stays down
    STOPPED = "stopped"  # done, or stopped with the tree


class ServiceSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a service stood at one moment."""

    name: str
    state: State
    #: Unix seconds since when it is in this state.
    since: float
    #: How often it was restarted after a crash.
    restarts: int = 0
    #: Seconds until it is tried again, while `restarting`.
    restarting_in: float | None = None
    last_error: str | None = None
    children: tuple["ServiceSnapshot", ...] = ()


class _Kept:
    """A service and what its supervisor knows about it."""

    def __init__(self, service: Service, *, essential: bool, now: float) -> None:
        self.service = service
        self.essential = essential
        self.state = State.WAITING
        self.since = now
        self.ready_at: float | None = None
        self.retry_at: float | None = None
        self.restarts = 0
        self.failures_in_a_row = 0
        self.last_error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        # It has been ready once, or has ended for good: what comes after it may start.
        self.settled = False

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def ended(self) -> bool:
        return self.state in {State.DOWN, State.STOPPED}


class Supervisor:
    """Keeps its services running.

    Services start in the order they were added, each when the one before has said `ready()` or has ended for
    good; one that crashes before it was ready holds up those after it until a retry succeeds. Once the
    supervisor itself is ready, services added later start at once. On cancellation services are stopped in
    reverse order; each gets `stop_grace` seconds and is then left behind, with a log line that names it.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        backoff: Backoff = DEFAULT_BACKOFF,
        rng: random.Random | None = None,
        stop_grace: float = 10.0,
    ) -> None:
        self.name = name
        self._clock = clock
        self._backoff = backoff
        self._rng = random.Random() if rng is None else rng  # noqa: S311 - spreads retries, guards nothing
        self._stop_grace = stop_grace
        self._services: list[_Kept] = []
        self._state = State.WAITING
        self._since = clock.time()
        self._changed = asyncio.Event()
        self._decided = asyncio.Event()  # the supervisor is ready, or has ended
        self._verdict: StopAll | None = None
        self._left_behind: list[str] = []

    def add(self, service: Service, *, essential: bool = False) -> None:
        """Add a service, before or while the supervisor runs.

        When an `essential` service returns or stays down, everything stops. The name of a service that has
        ended may be used again; any other double name raises ValueError.
        """
        for old in [kept for kept in self._services if kept.name == service.name]:
            if not old.ended:
                msg = f"{self.name} already has a service called {service.name}"
                raise ValueError(msg)
            self._services.remove(old)
        self._services.append(_Kept(service, essential=essential, now=self._clock.time()))
        self._changed.set()

    async def remove(self, name: str) -> None:
        """Stop the service called `name`, if it runs, and forget it. Raises KeyError for an unknown name."""
        kept = next((kept for kept in self._services if kept.name == name), None)
        if kept is None:
            raise KeyError(name)
        self._services.remove(kept)
        self._changed.set()
        await self._stop(kept)

    async def serve(self, ready: Ready) -> None:
        """Run the services until cancelled. Raises StopAll when one of them asks for it."""
        if self._state in {State.STARTING, State.UP}:
            msg = f"supervisor {self.name} is running already"
            raise RuntimeError(msg)
        self._begin()
        try:
            while self._verdict is None:
                self._changed.clear()
                self._bring_up(ready)
                await self._changed.wait()
            raise self._verdict
        finally:
            try:
                await self._stop_all()
            finally:
                self._enter(State.STOPPED)
                self._decided.set()

    async def wait_ready(self) -> None:
        """Return once every service is ready or has ended for good. Raises NotReady if that fails."""
        await self._decided.wait()
        if self._state is not State.UP:
            reason = "" if self._verdict is None else f": {self._verdict.reason}"
            msg = f"{self.name} stopped before it was ready{reason}"
            raise NotReady(msg)

    @property
    def stopping(self) -> bool:
        """Whether a service has asked for everything to stop."""
        return self._verdict is not None

    @property
    def stop_failures(self) -> list[str]:
        """Names of the services that did not stop within their grace and were left behind."""
        below = [
            f"{kept.name}/{name}"
            for kept in self._services
            if isinstance(kept.service, Supervisor)
            for name in kept.service.stop_failures
        ]
        return self._left_behind + below

    def snapshot(self) -> ServiceSnapshot:
        """Return how the tree stands now."""
        return ServiceSnapshot(
            name=self.name,
            state=self._state,
            since=self._since,
            children=tuple(self._snapshot_of(kept) for kept in self._services),
        )

    def tree(self) -> str:
        """Return the tree for people to read, one line a service."""
        return "\n".join(_lines(self.snapshot()))

    def _begin(self) -> None:
        self._verdict = None
        self._left_behind = []
        self._decided.clear()
        self._enter(State.STARTING)
        now = self._clock.time()
        self._services = [_Kept(kept.service, essential=kept.essential, now=now) for kept in self._services]

    def _enter(self, state: State) -> None:
        self._state = state
        self._since = self._clock.time()

    def _bring_up(self, ready: Ready) -> None:
        self._start_next()
        if self._state is State.STARTING and all(kept.settled for kept in self._services):
            self._enter(State.UP)
            self._decided.set()
            ready()

    def _start_next(self) -> None:
        for kept in self._services:
            if kept.state is State.WAITING:
                self._start(kept)
            if not kept.settled and self._state is State.STARTING:
                return

    def _start(self, kept: _Kept) -> None:
        self._set(kept, State.STARTING)
        kept.task = asyncio.get_running_loop().create_task(self._keep(kept), name=f"{self.name}/{kept.name}")

    def _set(self, kept: _Kept, state: State) -> None:
        kept.state = state
        kept.since = self._clock.time()
        if state is not State.RESTARTING:
            kept.retry_at = None
        kept.settled = kept.settled or state is State.UP or kept.ended
        self._changed.set()

    async def _keep(self, kept: _Kept) -> None:
        """Run one service, again and again, until it ends for good."""
        try:
            while True:
                try:
                    await kept.service.serve(lambda: self._became_ready(kept))
                except asyncio.CancelledError as error:
                    if _being_cancelled():
                        raise
                    # Not us: something the service awaited was cancelled under it.
                    failure: BaseException = error
                except Exception as error:  # noqa: BLE001 - a supervisor exists to catch whatever escapes
                    failure = error
                else:
                    self._done(kept)
                    return
                if _being_cancelled():
                    log.error("service failed while stopping", service=self._path(kept), exc_info=failure)
                    kept.last_error = failure
                    return
                if self._end_by_verdict(kept, failure):
                    return
                await self._wait_to_restart(kept, failure)
        finally:
            if not kept.ended:
                self._set(kept, State.STOPPED)

    def _became_ready(self, kept: _Kept) -> None:
        if kept.state is State.STARTING:
            kept.ready_at = self._clock.monotonic()
            self._set(kept, State.UP)

    def _done(self, kept: _Kept) -> None:
        self._set(kept, State.STOPPED)
        if kept.essential and not _being_cancelled():
            self._stop_everything(StopAll(f"{self._path(kept)} ended, and nothing works without it"))

    def _end_by_verdict(self, kept: _Kept, failure: BaseException) -> bool:
        if (stop := _find(failure, StopAll)) is not None:
            kept.last_error = stop
            self._set(kept, State.STOPPED)
            self._stop_everything(stop)
            return True
        if (stay_down := _find(failure, StayDown)) is not None:
            log.warning("service stays down", service=self._path(kept), reason=str(stay_down))
            kept.last_error = stay_down
            self._set(kept, State.DOWN)
            if kept.essential:
                reason = f"{self._path(kept)} stays down, and nothing works without it: {stay_down}"
                self._stop_everything(StopAll(reason))
            return True
        return False

    def _stop_everything(self, verdict: StopAll) -> None:
        self._verdict = self._verdict or verdict
        self._changed.set()

    async def _wait_to_restart(self, kept: _Kept, failure: BaseException) -> None:
        now = self._clock.monotonic()
        if kept.ready_at is not None and now - kept.ready_at >= _RECOVERED_AFTER:
            kept.failures_in_a_row = 0
        delay = self._backoff.delay(kept.failures_in_a_row, self._rng)
        # The first of a row of failures tells the whole story; the same again needs only a line.
        repeated = kept.failures_in_a_row > 0 and type(failure) is type(kept.last_error)
        log.warning(
            "service crashed",
            service=self._path(kept),
            error=failure,
            restarting_in=round(delay, 3),
            exc_info=None if repeated else failure,
        )
        kept.failures_in_a_row += 1
        kept.last_error = failure
        kept.ready_at = None
        kept.retry_at = now + delay
        self._set(kept, State.RESTARTING)
        await self._clock.sleep(delay)
        kept.restarts += 1
        self._set(kept, State.STARTING)

    async def _stop_all(self) -> None:
        started = [kept for kept in self._services if kept.task is not None]
        try:
            for kept in reversed(started):
                await self._stop(kept)
        except asyncio.CancelledError:
            # Whoever stops us has no more patience: stop the rest at once, wait for none.
            for kept in started:
                if kept.task is not None:
                    kept.task.cancel()
            raise

    async def _stop(self, kept: _Kept) -> None:
        if kept.task is None or kept.task.done():
            return
        kept.task.cancel()
        waiting = asyncio.wait({kept.task})
        if isinstance(kept.service, Supervisor):
            # It bounds each of its own services; a second limit around all of them would cut that short.
            await waiting
            return
        try:
            await self._clock.wait_for(waiting, self._stop_grace)
        except TimeoutError:
            log.error(  # noqa: TRY400 - a traceback of our own patience would tell nothing
                "service does not stop, left behind", service=self._path(kept), grace=self._stop_grace
            )
            self._left_behind.append(kept.name)

    def _path(self, kept: _Kept) -> str:
        return f"{self.name}/{kept.name}"

    def _snapshot_of(self, kept: _Kept) -> ServiceSnapshot:
        below = kept.service.snapshot().children if isinstance(kept.service, Supervisor) else ()
        remaining = None if kept.retry_at is None else max(0.0, kept.retry_at - self._clock.monotonic())
        return ServiceSnapshot(
            name=kept.name,
            state=kept.state,
            since=kept.since,
            restarts=kept.restarts,
            restarting_in=remaining,
            last_error=None if kept.last_error is None else logs.describe_error(kept.last_error),
            children=below,
        )


def _being_cancelled() -> bool:
    return _current_task().cancelling() > 0


def _find(failure: BaseException, kind: type[Verdict]) -> Verdict | None:
    """Return the verdict in `failure`, also from within the groups that a TaskGroup raises."""
    if isinstance(failure, kind):
        return failure
    if isinstance(failure, BaseExceptionGroup):
        found = (_find(error, kind) for error in failure.exceptions)
        return next((error for error in found if error is not None), None)
    return None


def _lines(node: ServiceSnapshot, lead: str = "", child_lead: str = "") -> Iterable[str]:
    yield f"{lead}{_line(node)}"
    for child in node.children:
        last = child is node.children[-1]
        yield from _lines(
            child, child_lead + ("└─ " if last else "├─ "), child_lead + ("   " if last else "│  ")
        )


def _line(node: ServiceSnapshot) -> str:
    state = node.state.value
    if node.restarting_in is not None:
        state = f"{state} in {node.restarting_in:.0f}s"
    since = datetime.fromtimestamp(node.since, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [f"{escape(node.name)}  {state} since {since}"]
    if node.restarts:
        parts.append(f"{node.restarts} restart{'s' if node.restarts > 1 else ''}")
    if node.last_error is not None:
        parts.append(f"last error: {escape(node.last_error[:200])}")
    return ", ".join(parts)


async def run_until_signalled(
    supervisor: Supervisor, *, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
) -> int:
    """Run the tree as the main work of this process and return the process's exit code.

    The first signal stops the tree in reverse order: 0. A StopAll stops it likewise and is logged: its own
    exit code, 1 unless it says otherwise. A second signal, or a service left behind at the end, ends the
    process on the spot, because a task that ignores its cancellation would keep it alive for ever.
    """
    main = _current_task()
    caught: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        caught.append(number)
        if len(caught) == 1:
            log.info("stopping", signal=number.name)
            if not supervisor.stopping:  # a second cancel would cut a stop short that is under way
                main.cancel()
        else:
            log.warning("stopping at once", signal=number.name)
            _end_process(128 + number)

    loop = asyncio.get_running_loop()
    watched = tuple(signals)
    for number in watched:
        loop.add_signal_handler(number, on_signal, number)
    try:
        code = await _run(supervisor, caught)
    finally:
        for number in watched:
            loop.remove_signal_handler(number)
    if supervisor.stop_failures:
        _end_process(code)
    return code


async def _run(supervisor: Supervisor, caught: list[signal.Signals]) -> int:
    try:
        await supervisor.serve(lambda: None)
    except StopAll as stop:
        # The reason was written for a person; a traceback would only bury it.
        log.error("stopped", reason=stop.reason, exit_code=stop.exit_code)  # noqa: TRY400 - see above
        return stop.exit_code
    except asyncio.CancelledError:
        # Our own cancel() is answered here; one that came from elsewhere goes on its way.
        if not caught or _current_task().uncancel() > 0:
            raise
    log.info("stopped")
    return 0


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        msg = "only a task can do this"
        raise RuntimeError(msg)
    return task


def _end_process(code: int) -> NoReturn:
    logging.shutdown()
    os._exit(code)
