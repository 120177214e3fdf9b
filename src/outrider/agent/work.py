"""The command engine as the queue sees it, with what lies on disk beside it."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from outrider.agent.spool import Interrupted
from outrider.agent.task_queue import Running, TakenOver
from outrider.domain.errors import Conflict
from outrider.domain.ids import CommandId
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.engine import CommandEngine
from outrider.engines.commands.execution import Execution, ProcessExecution
from outrider.engines.commands.handover import ProcessHandover
from outrider.engines.commands.leftovers import ProcessRecord, end_leftovers
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.protocol.messages import Order

log = logs.get(__name__)

_RESTARTED: Final = "The agent was restarted while this ran."

Handover: TypeAlias = ProcessHandover


class CommandWork:
    """Runs commands with `engine` and keeps their output in `captures`."""

    def __init__(self, *, engine: CommandEngine, captures: Path, clock: Clock) -> None:
        self._engine = engine
        self._captures = captures
        self._clock = clock

    def capture(self, command_id: CommandId) -> Capture:
        """Open the kept output of a command."""
        return Capture(self._captures, command_id)

    def begin(self, order: Order, capture: Capture) -> Execution:
        """Prepare a command. Raises OutriderError for parameters that do not fit."""
        return self._engine.begin(order.id, order.type, order.params, capture)

    async def process_of(self, execution: Execution) -> bytes | None:
        """Describe the process of a command once it has one; None when it ends without."""
        if not isinstance(execution, ProcessExecution):
            return None
        record = await execution.wait_begun()
        return None if record is None else msgspec.msgpack.encode(record)

    def resume(self, interrupted: Interrupted) -> TakenOver | None:
        """Go on with a command whose end an agent does not live to see; None for all others."""
        if interrupted.process is None:
            return None
        capture = self.capture(interrupted.id)
        execution = self._engine.resume(interrupted.id, interrupted.process, capture)
        return None if execution is None else TakenOver(execution, capture)

    async def end_leftovers(self, interrupted: Sequence[Interrupted]) -> frozenset[CommandId]:
        """End all that a dead process left of these commands; return those of which something still ran."""
        records = [record for task in interrupted if (record := _record_of(task)) is not None]
        if any(record.has_other_daemon() for record in records):
            log.warning(
                "another agent runs these commands: its folder was copied to this one; they are left alone"
            )
            return frozenset()
        ended = await end_leftovers(records, marker_ids={task.id for task in interrupted}, clock=self._clock)
        return frozenset(CommandId(command_id) for command_id in ended)

    async def sweep(self, keep: Collection[CommandId]) -> None:
        """Remove what a killed agent left on disk, but that of the commands in `keep`."""
        await asyncio.to_thread(self._engine.sweep, keep)

    def hand_over(self, running: Mapping[CommandId, Running]) -> list[Handover]:
        """Let go of the processes that run, without ending them; the next image of the program takes them.

        What the agent does itself, step by step, can't go on in another image: it is ended, so that no
        process of it is left that nobody waits for.
        """
        handed = []
        for task in running.values():
            if isinstance(task.execution, ProcessExecution):
                try:
                    handed.append(task.execution.hand_over())
                except Conflict as error:
                    log.info("a command is not handed over", reason=error.detail)
            else:
                task.interrupt(_RESTARTED)
        return handed

    def take_over(self, handed: Iterable[Handover]) -> dict[CommandId, TakenOver]:
        """Take up what the image before this one has let go of."""
        taken = {}
        for handover in handed:
            capture = self.capture(handover.command_id)
            taken[handover.command_id] = TakenOver(self._engine.take_over(handover, capture), capture)
        return taken


def _record_of(task: Interrupted) -> ProcessRecord | None:
    """Read which process a command had; None when it had none, or a newer agent wrote down something else."""
    if task.process is None:
        return None
    try:
        return msgspec.msgpack.decode(task.process, type=ProcessRecord)
    except msgspec.DecodeError as error:
        log.warning("what was noted of a command can't be read", command=task.id, error=error)
        return None
