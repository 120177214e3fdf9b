"""`outrider audit`: who changed what, when and from where; and whether the log is what was written."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, Column, at, show_json, show_table
from outrider.domain.audit import FIRST, Head, Line, Problem, Walk, format_head, parse_head
from outrider.domain.errors import Conflict, Invalid
from outrider.kit.clock import SystemClock
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts import App

    from outrider.client import AsyncCenter
    from outrider.client.audit import AuditEntry

_LOOK_EVERY: Final = 2.0
_LONGEST_LINE: Final = 4 * 1024 * 1024


class LogBroken(Conflict):
    """The audit log, or an export of it, is not what was written. `fields`: number, reason."""

    code = "audit_broken"


def command() -> App:
    """Make the command."""
    app = make_app("outrider audit")
    app.default(list_entries)
    app.command(list_entries, name="list")
    app.command(verify)
    app.command(export)
    return app


@Parameter(name="*")
@dataclass(frozen=True)
class Which:
    """The options that narrow a list of entries."""

    actor: Annotated[str | None, Parameter(help="Only what this one did: a name or an id.")] = None
    subject: Annotated[str | None, Parameter(help="Only what was done to this id.")] = None
    action: Annotated[str | None, Parameter(help="Only this: agent.approve, or all of agent.")] = None
    since: Annotated[str | None, Parameter(help="Only since then: 2h, 7d, or 2026-01-31T12:00.")] = None
    until: Annotated[str | None, Parameter(help="Only before then.")] = None

    def query(self) -> dict[str, Any]:
        """What the center is asked for. Raises Invalid for what is no moment."""
        return {
            "actor": self.actor,
            "subject": self.subject,
            "action": self.action,
            "since": None if self.since is None else parse_moment(self.since, "--since"),
            "until": None if self.until is None else parse_moment(self.until, "--until"),
        }


def list_entries(
    *,
    which: Which | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="At most so many, the newest ones.")] = 50,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], help="Go on with what happens next.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List what was changed, the newest last."""
    if limit < 1:
        raise Invalid("--limit takes a number of entries from 1 on.", field="limit")
    wanted = (which or Which()).query()

    async def look(center: AsyncCenter) -> list[AuditEntry]:
        async with aclosing(center.audit(limit=limit, order="desc", **wanted)) as found:
            entries = [entry async for entry in found]
        return entries[::-1]

    async def go_on(center: AsyncCenter) -> None:
        entries = await look(center)
        _show(entries, as_json=as_json, lines=True)
        last = entries[-1].number if entries else await _newest(center)
        clock = SystemClock()
        while True:
            await clock.sleep(_LOOK_EVERY)
            async with aclosing(center.audit(after=last, order="asc", **wanted)) as found:
                async for entry in found:
                    _show([entry], as_json=as_json, lines=True)
                    last = entry.number

    if follow:
        ask(where, go_on)
    else:
        _show(ask(where, look), as_json=as_json, lines=False)


async def _newest(center: AsyncCenter) -> int:
    async with aclosing(center.audit(limit=1, order="desc")) as found:
        return max([entry.number async for entry in found], default=0)


def parse_moment(text: str, option: str, *, now: float | None = None) -> float:
    """Read a moment as unix time: a duration back from now, or a date with or without a time of day.

    A date without an offset is of the local time zone. Raises Invalid, naming the option.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return (time.time() if now is None else now) - parse_duration(text, option)


def _show(entries: list[AuditEntry], *, as_json: bool, lines: bool) -> None:
    if as_json and lines:
        for entry in entries:
            sys.stdout.write(msgspec.json.encode(entry).decode() + "\n")
        sys.stdout.flush()
    elif as_json:
        show_json(entries)
    elif lines:
        for entry in entries:
            sys.stdout.write("  ".join(escape(cell) for cell in _cells(entry)).rstrip() + "\n")
        sys.stdout.flush()
    else:
        show_table(
            [
                Column("NUMBER", whole=True),
                Column("TIME", whole=True),
                Column("WHO"),
                Column("FROM"),
                Column("DID", whole=True),
                Column("TO"),
                Column("MORE"),
            ],
            [_cells(entry) for entry in entries],
            empty="No entries match.",
        )


def _cells(entry: AuditEntry) -> list[str]:
    more = "" if not entry.data else msgspec.json.encode(entry.data).decode()
    return [
        str(entry.number),
        at(entry.time),
        entry.actor.name or entry.actor.id,
        entry.actor.address,
        entry.action,
        entry.subject,
        more,
    ]


def export(
    file: Annotated[Path | None, Parameter(help="Where it goes; else to standard output.")] = None,
    /,
    *,
    where: Where | None = None,
) -> None:
    """Write the whole log, one JSON object a line. `outrider audit verify --file` checks it anywhere."""
    if file is not None and file.exists():
        raise Invalid(f"{file} is there already: name another file, or move it away.")

    async def write(center: AsyncCenter) -> None:
        target = sys.stdout.buffer if file is None else await asyncio.to_thread(file.open, "xb")
        try:
            async with aclosing(center.export_audit()) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(target.write, piece)
            await asyncio.to_thread(target.flush)
        finally:
            if file is not None:
                target.close()

    ask(where, write)
    if file is not None:
        sys.stderr.write(f"outrider: wrote {file}\n")


def verify(
    *,
    file: Annotated[Path | None, Parameter(help="An export to verify, without asking a center.")] = None,
    head: Annotated[
        str | None, Parameter(help="The head that was noted, NUMBER:HASH: a log written anew has another.")
    ] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> int:
    """Verify that no entry was changed, removed or put in. Ends with 6 when one was."""
    noted = None if head is None else _parse_head(head)
    if file is not None:
        last, count, problem = _verify_file(file, noted)
    else:
        verdict = ask(where, lambda center: center.verify_audit())
        problem = None if verdict.ok else msgspec.convert(verdict.problem, Problem)
        last = _parse_head(verdict.head or format_head(FIRST))
        count = (verdict.last or 0) - (verdict.first or 0) + 1 if verdict.last else 0
        if problem is None and noted is not None:
            problem = ask(where, lambda center: _held_to(center, noted))
    if as_json:
        told = {"ok": problem is None, "entries": count, "head": format_head(last), "problem": problem}
        show_json(told)
    if problem is not None:
        raise LogBroken(
            f"The audit log is not what was written. Entry {problem.number}: {problem.reason}.",
            number=problem.number,
            reason=problem.reason,
        )
    if not as_json:
        sys.stdout.write(f"All {count:,} entries are as they were written. Head: {format_head(last)}\n")
    return 0


async def _held_to(center: AsyncCenter, noted: Head) -> Problem | None:
    """Hold the center's log to a head that was noted some time ago."""
    if noted == FIRST:
        return None
    source = center.audit(after=noted.number - 1, limit=1, order="asc")
    async with aclosing(source) as found:
        entries = [entry async for entry in found]
    if not entries or entries[0].number < noted.number:
        return Problem(noted.number, "it is missing: the log was cut off here")
    if entries[0].number > noted.number:
        return Problem(noted.number, "it is too old to be still there; note a newer head")
    if entries[0].hash != noted.hash.hex():
        return Problem(noted.number, "the log does not lead to the noted hash: it was written anew")
    return None


def _verify_file(file: Path, noted: Head | None) -> tuple[Head, int, Problem | None]:
    walk: Walk | None = None
    at_noted: bytes | None = None
    for line in _lines(file):
        if walk is None:
            first = line.number - 1
            walk = Walk(Head(first, bytes.fromhex(line.previous)) if first else FIRST)
        problem = walk.take(line.number, line.entry, bytes.fromhex(line.hash))
        if problem is not None:
            return walk.last, walk.count, problem
        if noted is not None and line.number == noted.number:
            at_noted = walk.last.hash
    if walk is None:
        walk = Walk(FIRST)
    if noted is not None and noted != FIRST and at_noted != noted.hash:
        reason = "it is missing" if at_noted is None else "the log does not lead to the noted hash"
        return walk.last, walk.count, Problem(noted.number, reason)
    return walk.last, walk.count, walk.end(walk.last)


def _lines(file: Path) -> Iterator[Line]:
    try:
        with file.open("rb") as source:
            number = 0
            while text := source.readline(_LONGEST_LINE):
                number += 1
                try:
                    line = msgspec.json.decode(text, type=Line)
                    bytes.fromhex(line.hash + line.previous)
                except (msgspec.MsgspecError, ValueError) as error:
                    raise LogBroken(f"Line {number} of {file} is no entry: {error}.", line=number) from None
                yield line
    except OSError as error:
        raise Invalid(f"{file} can't be read: {error.strerror}.") from error


def _parse_head(text: str) -> Head:
    try:
        return parse_head(text)
    except ValueError as error:
        raise Invalid(f"--head: {error}, not {text[:100]!r}.", field="head") from None
