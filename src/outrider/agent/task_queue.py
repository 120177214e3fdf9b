"""The commands of this host: taken in, run in turn, and each brought to exactly one result.

    offered --spool--> accepted --turn, rules, spool--> started --engine--> result --spool--> center

An id starts at most once, ever: `started` is on disk before anything runs, and what was started by a process
that is gone is ended and reported `interrupted`. After a start of the process nothing runs that the spool
held from before until the center has welcomed the link, because only the center can tell an old copy of it.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from outrider.agent.center_time import CenterTime
from outrider.agent.outputs import Outputs
from outrider.agent.policy import PolicyFile
from outrider.agent.results import Results
from outrider.agent.spool import Interrupted, Spool, SpoolFull
from outrider.agent.storage import Storage
from outrider.agent.voice import LINGER, Voice
from outrider.domain.command_states import CommandState
from outrider.domain.errors import OutriderError
from outrider.domain.ids import CommandId
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.outcome import Outcome, ToldLater
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import (
    Accepted,
    Cancel,
    CenterSeen,
    Execute,
    Finished,
    Order,
    ResultsConfirmed,
    Started,
)

log = logs.get(__name__)

STOP_SECONDS: Final = 8.0
"""How long running commands get to end when the agent stops; the next start ends what is left."""
RECORD_AGAIN: Final = 5.0
"""Seconds until the spool is tried again when the disk did not take something."""
MAX_REASON: Final = 4096
_INBOX: Final = 256
_UNWELCOMED: Final = "The agent was restarted before this was started, and has only reports to tell by since."
_OLD_COPY: Final = "This host came back with an old copy of its spool: whether this ran before can't be told."


class Work(Protocol):
    """What the queue asks of the engine, and of what lies on disk beside it."""

    def capture(self, command_id: CommandId) -> Capture:
        """Open the kept output of a command, empty for a new one."""
        ...

    def begin(self, order: Order, capture: Capture) -> Execution:
        """Prepare a command. Raises OutriderError for parameters that do not fit."""
        ...

    async def process_of(self, execution: Execution) -> bytes | None:
        """Describe the command's process once it has one, for `end_leftovers` after a crash."""
        ...

    def resume(self, interrupted: Interrupted) -> "TakenOver | None":
        """Go on with a command whose end an agent does not live to see, such as a reboot; None for others."""
        ...

    async def end_leftovers(self, interrupted: Sequence[Interrupted]) -> frozenset[CommandId]:
        """End all that a dead process left of these commands; return those of which something still ran."""
        ...

    async def sweep(self, keep: Collection[CommandId]) -> None:
        """Remove what a killed agent left on disk, but that of the commands in `keep`."""
        ...


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A command that runs on from the process image before this one."""

    execution: Execution
    capture: Capture


@dataclass(slots=True)
class Running:
    """A command whose turn has come."""

    order: Order
    started: float
    capture: Capture
    execution: Execution | None = None
    cancelled: bool = False
    interrupted: str = ""

    def cancel(self) -> None:
        """End it as cancelled, now or as soon as it has begun."""
        self.cancelled = True
        if self.execution is not None:
            self.execution.cancel()

    def interrupt(self, reason: str) -> None:
        """End it as interrupted, now or as soon as it has begun."""
        self.interrupted = self.interrupted or reason
        if self.execution is not None:
            self.execution.interrupt(reason)


@dataclass(frozen=True, slots=True)
class _Gate:
    """The center has welcomed the link (or wants nothing started any more)."""

    open: bool


@dataclass(frozen=True, slots=True)
class _OldSpool:
    """The center calls the spool an old copy; `renewed` is to be called once all in it is settled."""

    renewed: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Reporting:
    """The center takes this agent's reports, but no link was opened."""


@dataclass(frozen=True, slots=True)
class _Dismissed:
    """This agent belongs to no center any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class _GoOn:
    """A pause is over: what waits may start."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """The center knows that these were started before, whatever the spool says."""

    ids: frozenset[CommandId]


_Told = Execute | Cancel | ResultsConfirmed | _Gate | _Reporting | _Dismissed | _Begun | _OldSpool


class TaskQueue:
    """The service that runs commands. What it is told is done in the order it was told."""

    name = "commands"

    def __init__(  # noqa: PLR0913 - composition
        self,
        *,
        spool: Spool,
        work: Work,
        voice: Voice,
        outputs: Outputs,
        results: Results,
        policy: PolicyFile,
        center_time: CenterTime,
        clock: Clock,
        max_parallel: int,
        runs_as: str,
        held: Callable[[], bool],
        taken_over: Mapping[CommandId, TakenOver] | None = None,
        storage: Storage | None = None,
    ) -> None:
        """While `held` says so, nothing is taken in or started, and what runs goes on.

        `taken_over` are commands that run on from the process image before this one.

        While `storage` is full, no more commands are taken in.
        """
        self._storage = storage
        self._spool = spool
        self._work = work
        self._voice = voice
        self._outputs = outputs
        self._results = results
        self._policy = policy
        self._center_time = center_time
        self._clock = clock
        self._max_parallel = max_parallel
        self._runs_as = runs_as
        self._held = held
        self._taken_over = dict(taken_over or {})
        self._inbox: asyncio.Queue[_Told | _GoOn] = asyncio.Queue(_INBOX)
        self._waiting: deque[Order] = deque()
        self._running: dict[CommandId, Running] = {}
        self._gate_open = False
        self._welcomed = False
        self._tasks: Tasks | None = None
        self._refused_orders: dict[CommandId, Order] = {}
        self._settling = False
        self._handing_over = False
        self._changed = asyncio.Event()

    async def serve(self, ready: Ready) -> None:
        """Run commands until cancelled; then end those that run and say so while the link is still there."""
        async with Tasks(self.name) as self._tasks:
            await self._recover()
            ready()
            try:
                while True:
                    told = await self._inbox.get()
                    try:
                        if not isinstance(told, _GoOn):
                            await self._hear(told)
                    finally:
                        self._inbox.task_done()
                    self._start_next()
            except asyncio.CancelledError:
                if not self._handing_over:
                    await self._end_running("The agent was stopped.")
                raise

    @property
    def running(self) -> Mapping[CommandId, Running]:
        """The commands that run now."""
        return self._running

    async def told(self, message: Execute | Cancel | ResultsConfirmed) -> None:
        """Take in what the center says; waits while too much of it is not done yet."""
        await self._inbox.put(message)

    async def open_gate(self) -> None:
        """Let commands start: the center has welcomed this agent and an administrator has approved it."""
        await self._inbox.put(_Gate(open=True))

    async def open_gate_by_report(self) -> None:
        """Let commands start for a center that is reached by reports only.

        A report's answer can't say that the spool is an old copy, so without a welcome since this process
        started, what waits in the spool ends `interrupted`.
        """
        await self._inbox.put(_Reporting())

    async def dismiss(self, reason: str) -> None:
        """End everything: this agent was deleted at the center."""
        await self._inbox.put(_Dismissed(reason))

    async def close_gate(self) -> None:
        """Start nothing more until the gate is opened again; what runs goes on."""
        await self._inbox.put(_Gate(open=False))

    async def go_on(self) -> None:
        """Start what waits: `held` says no longer that nothing may."""
        await self._inbox.put(_GoOn())

    async def old_spool(self, renewed: Callable[[], None]) -> None:
        """Start nothing that is in the spool: all of it ends `interrupted`, then `renewed` is called."""
        await self._inbox.put(_OldSpool(renewed))

    async def begun_before(self, ids: Collection[CommandId]) -> None:
        """Never start these, should they wait: the center knows that they were started once."""
        await self._inbox.put(_Begun(frozenset(ids)))

    def resume_saying(self) -> None:
        """Tell a new link what runs: the one before may have broken before it was heard."""
        for running in self._running.values():
            if running.execution is not None:
                self._voice.say(Started(id=running.order.id, at=running.started), within=LINGER)

    async def settle_starts(self) -> None:
        """Start nothing more, and return once every command whose turn has come has a process or ended."""
        self._settling = True
        self._gate_open = False
        await self._inbox.join()  # what is being taken in may be on disk as started, and not run yet
        while any(running.execution is None for running in self._running.values()):
            self._changed.clear()
            await self._changed.wait()
        for running in list(self._running.values()):
            if running.execution is not None:
                await self._work.process_of(running.execution)

    def hand_over(self) -> dict[CommandId, Running]:
        """Stop looking after the commands that run, without ending them, and return them."""
        self._handing_over = True
        return dict(self._running)

    async def ended(self, ids: Collection[CommandId]) -> None:
        """Return once the results of these commands are on disk."""
        while not self._running.keys().isdisjoint(ids):
            self._changed.clear()
            await self._changed.wait()

    async def _recover(self) -> None:
        self._waiting.clear()
        interrupted = await self._spool.started()
        for task in interrupted:
            if task.id not in self._taken_over and (over := self._work.resume(task)) is not None:
                self._taken_over[task.id] = over
        gone = [task for task in interrupted if task.id not in self._taken_over]
        still_ran = await self._work.end_leftovers(gone) if gone else frozenset[CommandId]()
        for task in gone:
            reason = "The agent ended while this ran"
            reason += "; what was left of it was ended." if task.id in still_ran else "."
            capture = self._work.capture(task.id)
            await self._record(
                task.id, CommandState.INTERRUPTED, capture, started=task.started, reason=reason
            )
        started_at = {task.id: task.started for task in interrupted}
        taken_over, self._taken_over = self._taken_over, {}
        await self._work.sweep(taken_over.keys())
        for command_id, over in taken_over.items():
            order = Order(id=command_id, type="", params={}, expires=0.0)
            running = Running(order, started_at.get(command_id, self._clock.time()), over.capture)
            self._running[command_id] = running
            self._start(f"run {command_id}", self._see_through(running, over.execution))
        self._waiting.extend(await self._spool.waiting())

    async def _hear(self, told: _Told) -> None:
        match told:
            case Execute(orders=orders):
                await self._accept(orders)
            case Cancel(id=command_id):
                await self._cancel(command_id)
            case ResultsConfirmed(ids=ids, seen=seen):
                await self._confirm(ids, seen)
            case _Gate(open=is_open):
                self._gate_open = is_open and not self._settling
                self._welcomed = self._welcomed or is_open
            case _Reporting():
                if not self._welcomed:
                    await self._give_up(None, _UNWELCOMED)
                self._welcomed = True
                self._gate_open = not self._settling
            case _Dismissed(reason=reason):
                self._gate_open = False
                await self._give_up(None, reason)
                await self._end_running(reason)
            case _Begun(ids=begun):
                await self._give_up(begun, _OLD_COPY)
            case _OldSpool(renewed=renewed):
                await self._give_up(None, _OLD_COPY)
                await self._spool.renew()
                renewed()

    async def _accept(self, orders: Sequence[Order]) -> None:
        if not self._gate_open or self._held():
            log.warning(
                "commands came before this agent may run any; they stay at the center", count=len(orders)
            )
            return
        at_once = self._startable(orders)
        now = self._clock.time()
        try:
            await self._check_room()
            taken = await self._spool.accept(orders, start=at_once, at=now)
        except (sqlite3.Error, SpoolFull) as error:
            # Not acknowledged, so they stay at the center; tried again in case there is room soon.
            log.warning("commands can't be taken in", count=len(orders), error=error)
            self._try_again(orders)
            return
        for order in orders:
            self._refused_orders.pop(order.id, None)
        self._voice.say(
            Accepted(ids=tuple(order.id for order in orders), generation=taken.generation), within=LINGER
        )
        for finished in taken.done:
            self._voice.say(finished)
        for order in taken.new:
            if order.id in at_once:
                self._turn_of(order, recorded=now)
            else:
                self._waiting.append(order)

    async def _check_room(self) -> None:
        storage = self._storage
        if storage is None or not storage.is_limited:
            return
        if await asyncio.to_thread(storage.is_full):
            raise SpoolFull("What this agent stores takes as much of the disk as disk-limit allows.")

    def _startable(self, orders: Sequence[Order]) -> frozenset[CommandId]:
        """Pick the orders whose turn it is at once: taking them in and starting them is then one commit."""
        room = 0 if self._waiting else self._room() - len(self._running)
        return frozenset(order.id for order in orders[: max(0, room)] if self._refusal(order) is None)

    def _try_again(self, orders: Sequence[Order]) -> None:
        first = not self._refused_orders
        for order in orders[:_INBOX]:
            self._refused_orders[order.id] = order
        if first:
            self._start("offer again", self._offer_again())

    async def _offer_again(self) -> None:
        while self._refused_orders and self._voice.open:
            await self._clock.sleep(RECORD_AGAIN)
            await self._inbox.put(Execute(orders=tuple(self._refused_orders.values())))
            self._refused_orders.clear()

    async def _cancel(self, command_id: CommandId) -> None:
        self._refused_orders.pop(command_id, None)
        if running := self._running.get(command_id):
            running.cancel()
            return
        waiting = next((order for order in self._waiting if order.id == command_id), None)
        if waiting is None:
            log.info("a command to cancel is not here (any more)", command=command_id)
            return
        self._waiting.remove(waiting)
        capture = self._work.capture(command_id)
        await self._record(
            command_id, CommandState.CANCELLED, capture, reason="Cancelled before it was started."
        )

    async def _confirm(self, ids: Sequence[CommandId], seen: CenterSeen | None) -> None:
        self._outputs.forget(ids)
        try:
            await self._spool.confirm(ids, seen)
        except sqlite3.Error as error:
            # Said again on the next link and confirmed again: nothing is lost.
            log.warning("confirmed results can't be recorded", count=len(ids), error=error)
            return
        for command_id in ids:
            if command_id not in self._running:
                self._delete_capture(self._work.capture(command_id))

    async def _give_up(self, ids: Collection[CommandId] | None, reason: str) -> None:
        """End commands that wait without starting them: those of `ids`, or all."""
        given_up = [order for order in self._waiting if ids is None or order.id in ids]
        self._waiting = deque(order for order in self._waiting if order not in given_up)
        for order in given_up:
            capture = self._work.capture(order.id)
            await self._record(order.id, CommandState.INTERRUPTED, capture, reason=reason)

    async def _end_running(self, reason: str) -> None:
        for running in self._running.values():
            running.interrupt(reason)
        if self._tasks is None or not self._running:
            return
        try:
            await self._clock.wait_for(self._none_runs(), STOP_SECONDS)
        except TimeoutError:
            log.warning("commands did not end in time", ids=sorted(self._running))

    async def _none_runs(self) -> None:
        while self._running:
            self._changed.clear()
            await self._changed.wait()

    def _start_next(self) -> None:
        while self._gate_open and not self._held() and self._waiting and len(self._running) < self._room():
            self._turn_of(self._waiting.popleft())

    def _turn_of(self, order: Order, recorded: float | None = None) -> None:
        """Begin with a command; `recorded` is when the spool has it as started, if it has."""
        started = self._clock.time() if recorded is None else recorded
        running = Running(order, started, self._work.capture(order.id))
        self._running[order.id] = running
        self._start(f"run {order.id}", self._run(running, recorded=recorded is not None))

    def _room(self) -> int:
        by_policy = self._policy.current().max_parallel
        return self._max_parallel if by_policy is None else min(self._max_parallel, by_policy)

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        # Whoever starts it need not wait for it: the owner logs a failure and ends it with the queue.
        _ = self._owner.start(name, work)

    @property
    def _owner(self) -> Tasks:
        if self._tasks is None:
            raise RuntimeError("the queue is not running")
        return self._tasks

    async def _run(self, running: Running, *, recorded: bool) -> None:
        order = running.order
        try:
            refused = None if recorded else self._why_not(running)
            if refused is not None:
                await self._record(order.id, refused[0], running.capture, reason=refused[1])
            elif recorded or await self._may_start(running):
                self._voice.say(Started(id=order.id, at=running.started), within=LINGER)
                self._outputs.follow(order.id, running.capture)
                try:
                    execution = self._work.begin(order, running.capture)
                except OutriderError as error:
                    await self._record_end(running, CommandState.FAILED, reason=error.detail)
                else:
                    await self._work_on(running, execution)
        finally:
            self._leave(running)

    async def _see_through(self, running: Running, execution: Execution) -> None:
        try:
            self._outputs.follow(running.order.id, running.capture)
            await self._work_on(running, execution)
        finally:
            self._leave(running)

    def _leave(self, running: Running) -> None:
        del self._running[running.order.id]
        self._changed.set()
        if not self._handing_over:
            self._start_next()

    def _why_not(self, running: Running) -> tuple[CommandState, str] | None:
        if running.interrupted:
            return CommandState.INTERRUPTED, running.interrupted
        if running.cancelled:
            return CommandState.CANCELLED, "Cancelled before it was started."
        return self._refusal(running.order)

    def _refusal(self, order: Order) -> tuple[CommandState, str] | None:
        if self._center_time.now() >= order.expires:
            return CommandState.EXPIRED, "Its time to live was over before its turn came on this host."
        refusal = self._policy.current().refusal(order.type, order.params, self._runs_as)
        return (CommandState.FAILED, refusal) if refusal else None

    async def _may_start(self, running: Running) -> bool:
        while True:
            try:
                running.started = self._clock.time()
                return await self._spool.start(running.order.id, running.started)
            except sqlite3.Error as error:
                # Nothing runs that is not on disk as started: it could run again after a crash.
                log.warning(
                    "a command can't be recorded as started, it waits", command=running.order.id, error=error
                )
                await self._clock.sleep(RECORD_AGAIN)

    async def _work_on(self, running: Running, execution: Execution) -> None:
        running.execution = execution
        self._changed.set()
        if running.interrupted:
            execution.interrupt(running.interrupted)
        if running.cancelled:
            execution.cancel()
        noting = self._owner.start(f"note {running.order.id}", self._note_process(running, execution))
        try:
            outcome = await execution.run()
        except ToldLater:
            log.info("the next start of the agent tells what becomes of a command", command=running.order.id)
            return
        except Exception as error:  # whatever broke, this command needs its one result
            log.exception("a command broke the engine", command=running.order.id)
            reason = f"The agent could not run this: {logs.describe_error(error)}."
            await self._record_end(running, CommandState.FAILED, reason=reason)
            return
        finally:
            noting.cancel()
        await self._record_end(running, outcome.state, outcome, reason=outcome.reason)

    async def _note_process(self, running: Running, execution: Execution) -> None:
        """Write down which process it is; not waited for, as the marker in its environment says it too."""
        process = await self._work.process_of(execution)
        if process is not None:
            try:
                await self._spool.note_process(running.order.id, process)
            except sqlite3.Error as error:
                log.warning("a command's process can't be noted", command=running.order.id, error=error)

    async def _record_end(
        self, running: Running, state: CommandState, outcome: Outcome | None = None, *, reason: str
    ) -> None:
        await self._record(
            running.order.id, state, running.capture, started=running.started, outcome=outcome, reason=reason
        )

    async def _record(
        self,
        command_id: CommandId,
        state: CommandState,
        capture: Capture,
        *,
        started: float | None = None,
        outcome: Outcome | None = None,
        reason: str = "",
    ) -> None:
        stdout, stderr, bulky = self._outputs.settle(command_id, capture)
        finished = Finished(
            id=command_id,
            state=state,
            finished=self._clock.time(),
            started=started,
            exit_code=None if outcome is None else outcome.exit_code,
            signal=None if outcome is None else outcome.signal,
            reason=reason[:MAX_REASON],
            stdout=stdout,
            stderr=stderr,
        )
        if bulky:
            # The result's own output is in the spool; this much is not, and must survive a power cut too.
            await asyncio.to_thread(capture.sync)
        number = await self._write_down(finished, bulky=bulky)
        if number:
            self._results.recorded(number, finished, bulky=bulky)
        if not bulky:
            self._delete_capture(capture)

    async def _write_down(self, finished: Finished, *, bulky: bool) -> int:
        told = False
        while True:
            try:
                return await self._spool.finish(finished, bulky=bulky)
            except sqlite3.Error as error:
                if not told:
                    log.warning("a result can't be recorded, trying on", command=finished.id, error=error)
                    told = True
                    if not bulky:
                        self._voice.say(finished)  # the center's disk may have the room that ours lacks
                await self._clock.sleep(RECORD_AGAIN)

    def _delete_capture(self, capture: Capture) -> None:
        try:
            capture.delete()
        except OSError as error:
            log.warning("kept output can't be removed", error=error)
