"""What agents report of their commands, taken in by the batch: one transaction for all that waits.

A report is confirmed only when it is on disk. It may come again, out of order, or for a command that
has ended or was deleted: nothing is counted twice and nothing ends twice.
"""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.commands.feed import Feed, Piece
from outrider.center.store.bulk import Bulk
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agents, command_output, commands
from outrider.center.store.writer import Transaction
from outrider.domain.command_states import COMMAND, FINAL, NOT_BEGUN, CommandState
from outrider.domain.ids import AgentId, CommandId
from outrider.domain.output import HEAD_BYTES, STDERR, STDOUT, TAIL_BYTES, join
from outrider.kit import logs
from outrider.protocol.messages import (
    Accepted,
    Finished,
    FromAgent,
    FromCenter,
    Output,
    OutputConfirmed,
    OutputEnd,
    ResultsConfirmed,
    Started,
)

INLINE: Final = 64 * 1024
"""Output up to this long is kept with its command; more is kept in pieces until it is put into a blob."""

log = logs.get(__name__)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one agent said in one frame."""

    agent_id: AgentId
    messages: Sequence[FromAgent]


class _Progress:
    """One command while a batch of reports is taken in."""

    __slots__ = ("agent_id", "dispatch_id", "ends", "fields", "id", "inserts", "pieces", "sizes", "state")

    def __init__(
        self, command_id: CommandId, agent_id: AgentId, state: CommandState, dispatch_id: str | None
    ) -> None:
        self.id = command_id
        self.agent_id = agent_id
        self.state = state
        self.dispatch_id = dispatch_id
        self.ends: dict[int, int] = {STDOUT: 0, STDERR: 0}
        self.sizes: dict[int, int] = {STDOUT: 0, STDERR: 0}
        self.inserts: list[dict[str, Any]] = []
        self.fields: dict[str, Any] = {}
        self.pieces: list[Piece] = []

    def started(self, at: float) -> None:
        if COMMAND.may(self.state, CommandState.RUNNING):
            self.state = CommandState.RUNNING
            self.fields |= {"state": self.state.value, "started": at}

    def output(self, message: Output, now: float) -> None:
        """Keep a piece; what came before is left out, a gap is taken only behind a whole head."""
        if self.state in FINAL:
            return
        if self.state in NOT_BEGUN:
            # What has output has begun: so a command that has not is known to have no pieces.
            self.started(now)
        end = self.ends[message.channel]
        offset, data = message.offset, message.data
        if offset < end:
            data = data[end - offset :]
            offset = end
        if not data or (offset > end and end < HEAD_BYTES):
            return
        self._keep(message.channel, offset, data)

    def _keep(self, channel: int, offset: int, data: bytes) -> None:
        """Keep a piece; more than a stream's head and tail is taken and dropped: no agent sends that."""
        self.ends[channel] = offset + len(data)
        if self.sizes[channel] + len(data) > HEAD_BYTES + TAIL_BYTES:
            return
        self.sizes[channel] += len(data)
        self.inserts.append({"command_id": self.id, "channel": channel, "offset": offset, "data": data})
        self.pieces.append(Piece(channel, offset, data, kept=True))

    def finished(self, message: Finished, now: float) -> bool:
        """End the command. False when it has ended before or the report makes no sense."""
        if message.state not in FINAL or not COMMAND.may(self.state, message.state):
            return False
        self.state = message.state
        self.fields |= {
            "state": self.state.value,
            "settled": now,
            "finished": _moment(message.finished, now),
            "exit_code": message.exit_code,
            "signal": message.signal,
            "reason": message.reason.replace("\0", ""),
            "stdout_total": message.stdout.total,
            "stderr_total": message.stderr.total,
        }
        if message.started is not None:
            self.fields["started"] = _moment(message.started, now)
        self._last_output(STDOUT, message.stdout)
        self._last_output(STDERR, message.stderr)
        return True

    def _last_output(self, channel: int, end: OutputEnd) -> None:
        if not end.data:
            return
        if self.ends[channel] == 0 and end.offset == 0 and len(end.data) <= INLINE:
            self.fields["stdout" if channel == STDOUT else "stderr"] = end.data
            self.pieces.append(Piece(channel, 0, end.data, kept=True))
            return
        skip = max(0, self.ends[channel] - end.offset)
        data, offset = end.data[skip:], end.offset + skip
        if data:
            self._keep(channel, offset, data)


def _moment(value: float, now: float) -> float:
    """Take a time from outside; a number that no clock shows becomes `now`."""
    return value if math.isfinite(value) and 0 <= value < 1e11 else now  # noqa: PLR2004 (the year 5138)


# Made once: every command's report needs them.
_COMMANDS: Final = Query(
    sa.select(commands.c.id, commands.c.agent_id, commands.c.state, commands.c.dispatch_id).where(
        one_of(commands.c.id, "ids")
    )
)
_LENGTH: Final = sa.func.length(command_output.c.data)
_ENDS: Final = Query(
    sa.select(
        command_output.c.command_id,
        command_output.c.channel,
        sa.func.max(command_output.c.offset + _LENGTH),
        sa.func.sum(_LENGTH),
    )
    .where(one_of(command_output.c.command_id, "ids"))
    .group_by(command_output.c.command_id, command_output.c.channel)
)
_INSERT_OUTPUT: Final = Bulk(sa.insert(command_output), ("command_id", "channel", "offset", "data"))
_RAISE_GENERATION: Final = Bulk(
    sa.update(agents)
    .where(agents.c.id == sa.bindparam("agent"), agents.c.generation < sa.bindparam("seen"))
    .values(generation=sa.bindparam("new")),
    ("agent", "seen", "new"),
)


@functools.cache
def _update_of(names: tuple[str, ...]) -> Bulk:
    """Make the update that sets these columns. The combinations are few: they follow from the messages."""
    statement = sa.update(commands).where(commands.c.id == sa.bindparam("command"))
    values: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(f"to_{name}") for name in names}
    return Bulk(statement.values(values), ("command", *(f"to_{name}" for name in names)))


class TakeReports:
    """Take reports in; the answer to each are the confirmations its agent is owed."""

    name = "take reports"
    rank = 50

    def __init__(self, feed: Feed, large_output_ended: Callable[[], None]) -> None:
        """Take the feed that live readers hang on, and whom to tell that large output waits for its blob."""
        self._feed = feed
        self._large_output_ended = large_output_ended

    async def apply(self, tx: Transaction, items: Sequence[Report]) -> Sequence[list[FromCenter]]:
        """Read all commands concerned, work the reports out in memory, write once."""
        progress = await self._load(tx, items)
        before = {command.id: command.state for command in progress.values()}
        accepted: dict[CommandId, float] = {}
        generations: dict[AgentId, int] = {}
        results = [self._take(tx, item, progress, accepted, generations) for item in items]
        await self._write(tx, progress, accepted, generations)
        for command in progress.values():
            changed = command.state is not before[command.id]
            if changed:
                self._tell(tx, command)
            if changed or command.pieces:
                tx.after_commit(functools.partial(self._publish, command, changed=changed))
        return results

    def _take(
        self,
        tx: Transaction,
        item: Report,
        progress: dict[CommandId, _Progress],
        accepted: dict[CommandId, float],
        generations: dict[AgentId, int],
    ) -> list[FromCenter]:
        confirmed: list[CommandId] = []
        outputs: dict[tuple[CommandId, int], int] = {}
        for message in item.messages:
            if isinstance(message, Accepted):
                generations[item.agent_id] = max(generations.get(item.agent_id, 0), message.generation)
                accepted.update({i: tx.now for i in message.ids if self._own(item, progress.get(i))})
                continue
            if not isinstance(message, Started | Output | Finished):
                continue
            found = progress.get(message.id)
            command = found if self._own(item, found) else None
            match message:
                case Started() if command:
                    command.started(_moment(message.at, tx.now))
                case Output():
                    if command:
                        command.output(message, tx.now)
                    # A command that is gone or has ended keeps no more: let the agent go on.
                    over = command is None or command.state in FINAL
                    end = (
                        message.offset + len(message.data)
                        if over or command is None
                        else command.ends[message.channel]
                    )
                    outputs[message.id, message.channel] = end
                case Finished():
                    if command is None:
                        log.warning(
                            "a result for a command that is not known", agent_id=item.agent_id, id=message.id
                        )
                        tx.event("command.not_known", item.agent_id, {"id": message.id[:80]})
                    else:
                        command.finished(message, tx.now)
                    confirmed.append(message.id)
                case _:
                    log.info(
                        "a report for a command that is not known", agent_id=item.agent_id, id=message.id
                    )
        answers: list[FromCenter] = [
            OutputConfirmed(id=command_id, channel=channel, offset=end)  # type: ignore[arg-type]  # channel is 1 or 2
            for (command_id, channel), end in outputs.items()
        ]
        if confirmed:
            answers.append(ResultsConfirmed(ids=tuple(confirmed)))
        return answers

    def _own(self, item: Report, command: _Progress | None) -> bool:
        return command is not None and command.agent_id == item.agent_id

    async def _load(self, tx: Transaction, items: Sequence[Report]) -> dict[CommandId, _Progress]:
        named: set[CommandId] = set()
        with_output: set[CommandId] = set()
        for item in items:
            for message in item.messages:
                if isinstance(message, Accepted):
                    named.update(message.ids)
                elif isinstance(message, Started | Output | Finished):
                    named.add(message.id)
                    if not isinstance(message, Started):
                        with_output.add(message.id)
        found: dict[CommandId, _Progress] = {}
        for row in await _COMMANDS.all(tx.conn, ids=sorted(named)) if named else ():
            command_id = CommandId(row[0])
            found[command_id] = _Progress(command_id, AgentId(row[1]), CommandState(row[2]), row[3])
        # A command that has not been reported as started has no output here.
        begun = {i for i in with_output & found.keys() if found[i].state not in NOT_BEGUN}
        for row in await _ENDS.all(tx.conn, ids=sorted(begun)) if begun else ():
            found[CommandId(row[0])].ends[row[1]] = int(row[2])
            found[CommandId(row[0])].sizes[row[1]] = int(row[3])
        return found

    async def _write(
        self,
        tx: Transaction,
        progress: dict[CommandId, _Progress],
        accepted: dict[CommandId, float],
        generations: dict[AgentId, int],
    ) -> None:
        inserts = [insert for command in progress.values() for insert in command.inserts]
        await _INSERT_OUTPUT.run(tx.conn, inserts)
        for command in progress.values():
            if command.id in accepted:
                command.fields["accepted"] = accepted[command.id]
            if (
                command.state in FINAL
                and command.fields.get("settled")
                and (command.inserts or any(command.ends.values()))
            ):
                await self._gather_small(tx, command)
        same: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for command in progress.values():
            if command.fields:
                same[tuple(sorted(command.fields))].append(
                    {"command": command.id, **{f"to_{name}": value for name, value in command.fields.items()}}
                )
        for names, rows in same.items():
            await _update_of(names).run(tx.conn, rows)
        await _RAISE_GENERATION.run(
            tx.conn,
            [{"agent": agent_id, "seen": seen, "new": seen} for agent_id, seen in generations.items()],
        )

    async def _gather_small(self, tx: Transaction, command: _Progress) -> None:
        """Put an ended command's pieces into its row when they are small and nothing is left out."""
        for channel, column in ((STDOUT, "stdout"), (STDERR, "stderr")):
            if command.ends[channel] > INLINE:
                tx.after_commit(self._large_output_ended)
                continue
            if not command.ends[channel]:
                continue
            mine = (command_output.c.command_id == command.id) & (command_output.c.channel == channel)
            rows = await tx.conn.execute(
                sa.select(command_output.c.offset, command_output.c.data)
                .where(mine)
                .order_by(command_output.c.offset)
            )
            joined = join(((row.offset, bytes(row.data)) for row in rows), command.ends[channel])
            if joined.dropped:
                tx.after_commit(self._large_output_ended)
                continue
            command.fields[column] = joined.data
            await tx.conn.execute(sa.delete(command_output).where(mine))

    def _tell(self, tx: Transaction, command: _Progress) -> None:
        told: dict[str, Any] = {"agent_id": command.agent_id}
        if command.dispatch_id is not None:
            told["dispatch_id"] = command.dispatch_id
        for name in ("exit_code", "reason"):
            if command.fields.get(name) not in (None, ""):
                told[name] = command.fields[name]
        tx.event(f"command.{command.state.value}", command.id, told)

    def _publish(self, command: _Progress, *, changed: bool) -> None:
        for piece in command.pieces:
            self._feed.output(command.id, piece)
        if changed:
            self._feed.changed(command.id)
