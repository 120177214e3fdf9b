"""`outrider metrics`: hosts' figures, live or over time."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli import terminals
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, Column, show_json, show_table
from outrider.cli.naming import find_agent, name_of
from outrider.cli.targeting import single
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import Agent, AsyncCenter, MetricsHistory

MOST_HOSTS: Final = 64
"""Hosts that are watched at once: each takes a connection."""
_SPARK: Final = 40


def command() -> App:
    """Make the command."""
    app = make_app("outrider metrics")
    app.default(show)
    return app


def show(
    agent: Annotated[str, Parameter(help="Id, label or hostname; or an expression that means many.")] = "all",
    /,
    *,
    once: Annotated[bool, Parameter(help="Show the figures of now, and end.")] = False,
    history: Annotated[str | None, Parameter(help="Show so much of the past instead: 1h, 7d.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> int:
    """Show hosts' processors, memory, disks and networks: `outrider metrics web-01`.

    One host fills the screen; many (`outrider metrics tag:web`, or nothing for all) have a line each. They
    are drawn anew every five seconds until Ctrl-C; a pipe gets a line for each reading, with --json an
    object.
    """
    if history is not None and once:
        raise Invalid("--history shows the past and --once what is now: take one of them.")
    seconds = None if history is None else parse_duration(history, "--history")
    one = single(agent)

    async def run(center: AsyncCenter) -> int:
        agents = [await find_agent(center, one)] if one is not None else await _all(center, agent)
        if seconds is not None:
            await _show_past(center, agents, seconds, as_json=as_json)
            return 0
        from outrider.cli.metrics_watching import MetricsWatching

        return await MetricsWatching(center, agents, as_json=as_json, once=once).watch()

    return ask(where, run)


async def _all(center: AsyncCenter, target: str) -> list[Agent]:
    preview = await center.preview_target(target, limit=MOST_HOSTS)
    if not preview.count:
        raise Invalid(f"No host fits {target!r}. `outrider targets` shows whom an expression means.")
    if preview.count > MOST_HOSTS:
        raise Invalid(f"{target!r} means {preview.count} hosts; {MOST_HOSTS} can be shown at once.")
    return preview.agents


async def _show_past(center: AsyncCenter, agents: list[Agent], seconds: float, *, as_json: bool) -> None:
    end = time.time()
    pasts = [(agent, await center.metrics(agent.id, start=end - seconds, end=end)) for agent in agents]
    if as_json:
        show_json([past for _, past in pasts])
        return
    for note in {past.note for _, past in pasts if past.note}:
        sys.stderr.write(f"outrider: {note}\n")
    rows = [row for agent, past in pasts for row in _rows(agent, past)]
    columns = [Column(title) for title in ("HOST", "SERIES", "MIN", "MEAN", "MAX", "OVER TIME")]
    show_table(columns, rows, empty="Nothing was read in that time.")


def _rows(agent: Agent, past: MetricsHistory) -> list[list[str]]:
    from outrider.cli.figures import BLOCKS, amount, sparkline, squeezed

    rows = []
    for name, columns in past.series.items():
        there = [each for each in columns.mean if each is not None]
        if not there:
            continue
        lowest = min(each for each in columns.min if each is not None)
        highest = max(each for each in columns.max if each is not None)
        in_bytes = name.partition(":")[0].endswith("_bytes")
        shown = [
            amount(each) if in_bytes else f"{each:.2f}" for each in (lowest, sum(there) / len(there), highest)
        ]
        top = 100.0 if "percent" in name else None
        room = min(max(terminals.columns() - 60, 10), _SPARK)
        spark = sparkline(squeezed(columns.mean, room), room, top=top, marks=BLOCKS)
        rows.append([name_of(agent), name, *shown, spark])
    return rows
