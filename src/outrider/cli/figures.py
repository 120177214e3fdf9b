"""Hosts' figures as people read them: numbers with units, sparklines, lines that fit a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from outrider.cli import terminals
from outrider.cli.naming import name_of
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outrider.client import Agent
    from outrider.domain.telemetry.snapshot import Process, Snapshot

BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII: Final = "_.-~=+*#"
"""For terminals and files that take no Unicode."""
_KEPT: Final = 120
_FULL: Final = 90.0
_BUSY: Final = 70.0
_SPARK: Final = 24
_KIBI: Final = 1024.0


@dataclass
class Followed:
    """A host that is watched: its newest snapshot, and the figures of those before it that are drawn."""

    agent: Agent
    snapshot: Snapshot | None = None
    remark: str = ""
    cpu: list[float | None] = field(default_factory=list)
    memory: list[float | None] = field(default_factory=list)

    def take(self, snapshot: Snapshot) -> None:
        """Take in a snapshot."""
        self.snapshot, self.remark = snapshot, ""
        self.cpu = [*self.cpu, snapshot.cpu_percent][-_KEPT:]
        self.memory = [*self.memory, snapshot.mem_percent][-_KEPT:]


def sparkline(values: Sequence[float | None], room: int, *, top: float | None, marks: str = BLOCKS) -> str:
    """Draw the last `room` values as a line of marks; a gap is a blank. `top` is the highest mark's value.

    Without `top` it is the highest value there is.
    """
    shown = list(values)[-room:] if room > 0 else []
    highest = max((each for each in shown if each is not None), default=0.0) if top is None else top
    return "".join(" " if each is None else _mark(each, highest, marks) for each in shown)


def squeezed(values: Sequence[float | None], room: int) -> list[float | None]:
    """Make at most `room` values of many: each the mean of those that fall together."""
    if len(values) <= room:
        return list(values)
    means: list[float | None] = []
    for place in range(room):
        part = values[place * len(values) // room : (place + 1) * len(values) // room]
        there = [each for each in part if each is not None]
        means.append(sum(there) / len(there) if there else None)
    return means


def _mark(value: float, highest: float, marks: str) -> str:
    if highest <= 0:
        return marks[0]
    share = min(max(value / highest, 0.0), 1.0)
    return marks[min(int(share * len(marks)), len(marks) - 1)]


def amount(number: float | None) -> str:
    """Write a number of bytes with a unit, in four to six characters."""
    if number is None:
        return "-"
    for unit in ("B", "K", "M", "G", "T"):
        if number < 1000:  # noqa: PLR2004 - three digits before the unit
            return f"{number:.0f}{unit}" if unit == "B" else f"{number:.1f}{unit}"
        number /= _KIBI
    return f"{number:.1f}P"


def percent(value: float | None) -> str:
    """Write a share."""
    return "-" if value is None else f"{value:.1f}%"


def span(seconds: int | None) -> str:
    """Write how long a host has been up."""
    if seconds is None:
        return "-"
    days, rest = divmod(seconds, 86_400)
    return f"{days}d {rest // 3600}h" if days else f"{rest // 3600}h {rest % 3600 // 60}m"


TITLES: Final = ("HOST", "CPU", "", "MEM", "DISK", "LOAD", "IN/S", "OUT/S", "UP")


def row_of(host: Followed, marks: str) -> list[str]:
    """The cells of a host in a table of many, under TITLES."""
    now = host.snapshot
    if now is None or host.remark:
        return [name_of(host.agent), "", "", "", "", "", "", "", escape(host.remark) or "..."]
    return [
        name_of(host.agent),
        percent(now.cpu_percent),
        sparkline(host.cpu, _SPARK, top=100.0, marks=marks),
        percent(now.mem_percent),
        percent(now.disk_percent),
        "-" if now.load is None else f"{now.load.one:.2f}",
        amount(sum(card.received_bytes for card in now.cards)),
        amount(sum(card.sent_bytes for card in now.cards)),
        span(now.uptime_s),
    ]


def table(hosts: Sequence[Followed], room: int, marks: str, *, coloured: bool) -> list[str]:
    """The lines of a table of hosts, none wider than `room`."""
    rows = [list(TITLES), *(row_of(host, marks) for host in hosts)]
    # What is said of a host that is away stands behind its name, across the columns.
    whole = [row for row in rows if row[1]]
    widths = [max(map(terminals.width, column)) for column in zip(*whole, strict=True)]
    widths[0] = max(terminals.width(row[0]) for row in rows)
    lines = []
    for place, row in enumerate(rows):
        if row[1] or place == 0:
            cells = [
                cell + " " * (width - terminals.width(cell)) for cell, width in zip(row, widths, strict=True)
            ]
            line = terminals.cut("  ".join(cells).rstrip(), room)
        else:
            line = terminals.cut(f"{row[0]}{' ' * (widths[0] - terminals.width(row[0]))}  {row[-1]}", room)
        lines.append(_painted(line, _colour(place, hosts), coloured=coloured))
    return lines


def _colour(place: int, hosts: Sequence[Followed]) -> str:
    if place == 0:
        return "bold"
    host = hosts[place - 1]
    now = host.snapshot
    if host.remark or now is None:
        return "dim"
    worst = max(now.cpu_percent or 0.0, now.mem_percent or 0.0, now.disk_percent or 0.0)
    return "red" if worst >= _FULL else "yellow" if worst >= _BUSY else ""


def page(host: Followed, room: int, marks: str, *, coloured: bool) -> list[str]:
    """The lines about one host, none wider than `room`."""
    now = host.snapshot
    head = name_of(host.agent)
    if now is None:
        return [
            _painted(head, "bold", coloured=coloured),
            escape(host.remark) or "waiting for its figures ...",
        ]
    lines = [f"{head}  up {span(now.uptime_s)}"]
    if host.remark:
        lines.append(escape(host.remark))
    spark = max(min(room - 40, 60), 8)
    count = "" if now.cpu is None else f" of {now.cpu.count}"
    lines.append(
        f"cpu   {percent(now.cpu_percent):>7}{count:<7} {sparkline(host.cpu, spark, top=100.0, marks=marks)}"
    )
    if now.cpu is not None:
        lines.append(
            f"      user {percent(now.cpu.user)}  system {percent(now.cpu.system)}"
            f"  iowait {percent(now.cpu.iowait)}  steal {percent(now.cpu.steal)}"
        )
    total = "" if now.memory is None else f" {amount(now.memory.used)} of {amount(now.memory.total)}"
    lines.append(
        f"mem   {percent(now.mem_percent):>7}{'':<7} "
        f"{sparkline(host.memory, spark, top=100.0, marks=marks)}{total}"
    )
    if now.swap is not None and now.swap.total:
        lines.append(
            f"swap  {percent(now.swap.percent):>7} {amount(now.swap.used)} of {amount(now.swap.total)}"
        )
    if now.load is not None:
        lines.append(f"load  {now.load.one:.2f}  {now.load.five:.2f}  {now.load.fifteen:.2f}")
    for disk in now.disks:
        busy = (
            ""
            if disk.read_bytes is None
            else f"  r {amount(disk.read_bytes)}/s w {amount(disk.written_bytes)}/s"
        )
        lines.append(
            f"disk  {percent(disk.percent):>7} {amount(disk.used)} of {amount(disk.total)}{busy}"
            f"  {escape(disk.mount)}"
        )
    for card in now.cards:
        errors = f"  {card.errors:.1f} errors/s" if card.errors else ""
        lines.append(
            f"net   in {amount(card.received_bytes)}/s out {amount(card.sent_bytes)}/s{errors}"
            f"  {escape(card.name)}"
        )
    if now.processes is not None:
        lines += ["", f"{now.processes.count} processes; most processor:"]
        lines += [_process(each) for each in now.processes.by_cpu]
        lines += ["most memory:", *(_process(each) for each in now.processes.by_memory)]
    for what, why in now.unavailable.items():
        lines.append(f"not told: {escape(what)}: {escape(why)}")
    cut = [terminals.cut(line, room) for line in lines]
    return [_painted(cut[0], "bold", coloured=coloured), *cut[1:]]


def _process(process: Process) -> str:
    return (
        f"  {process.pid:>7}  {percent(process.cpu_percent):>7}  {amount(process.memory):>7}"
        f"  {escape(process.user)}  {escape(process.name)}"
    )


def _painted(line: str, colour: str, *, coloured: bool) -> str:
    return terminals.painted(line, colour) if coloured and colour else line
