"""`outrider logs`: read and follow the logs of one host or of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.audit import parse_moment
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson
from outrider.cli.naming import find_agent
from outrider.cli.targeting import single
from outrider.domain.errors import Invalid
from outrider.domain.logs import MAX_LINES, check_unit, parse_priority

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import Agent, AsyncCenter

MOST_HOSTS: Final = 256
"""Hosts that are followed at once: each takes a connection."""


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """Which log is read, and which of its lines."""

    unit: Annotated[str | None, Parameter(name=["--unit", "-u"], help="Only this systemd unit.")] = None
    file: Annotated[str | None, Parameter(help="A file of the host, not its journal.")] = None
    lines: Annotated[
        int | None, Parameter(name=["--lines", "-n"], help="How many of the last lines; else 100.")
    ] = None
    since: Annotated[str | None, Parameter(help="Only since then: 2h, or 2026-01-31T12:00.")] = None
    grep: Annotated[
        str | None, Parameter(name=["--grep", "-g"], help="Only lines in which this expression is found.")
    ] = None
    priority: Annotated[
        str | None, Parameter(name=["--priority", "-p"], help="Only this grave or graver: err, warning, 0-7.")
    ] = None

    def query(self) -> dict[str, Any]:
        """What the client is asked for. Raises Invalid for what does not fit."""
        if self.file is not None:
            for name in ("unit", "since", "priority"):
                if getattr(self, name) is not None:
                    raise Invalid(f"--{name} is for the journal: the lines of a file do not tell it.")
            if not self.file.startswith("/"):
                raise Invalid(f"--file takes a path on the host that begins with /, not {self.file[:80]!r}.")
        if self.lines is not None and not 0 <= self.lines <= MAX_LINES:
            raise Invalid(f"--lines takes a number up to {MAX_LINES}.", field="lines")
        return {
            "path": self.file,
            "unit": None if self.unit is None else check_unit(self.unit),
            "lines": self.lines,
            "grep": self.grep,
            "since": None if self.since is None else parse_moment(self.since, "--since"),
            "priority": None if self.priority is None else parse_priority(self.priority),
        }


def command() -> App:
    """Make the command."""
    app = make_app("outrider logs")
    app.default(read)
    return app


def read(
    agent: Annotated[
        str | None, Parameter(help="Id, label or hostname; or an expression that means many.")
    ] = None,
    /,
    *,
    target: Annotated[str | None, Parameter(help="An expression that means many hosts.")] = None,
    source: Source = Source(),
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], help="Go on with what is written.")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], help="No remarks on stderr.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> int:
    """Show the last lines of hosts' logs: `outrider logs -f web-01 --unit nginx`.

    Without --file it is the systemd journal. Of many hosts (`outrider logs -f tag:web --file
    /var/log/app.log`) each line has its host's name before it. With --follow a host or a center that goes
    away is waited for, and the log goes on where it stopped; Ctrl-C ends it.
    """
    meant = target if agent is None else agent
    if meant is None or (agent is not None and target is not None):
        raise Invalid("Name a host, or many by --target: `outrider logs web-01`.")
    query = source.query()
    one = single(meant) if target is None else None

    async def run(center: AsyncCenter) -> int:
        from outrider.cli.log_reading import LogReading

        agents = [await find_agent(center, one)] if one is not None else await _all(center, meant)
        reading = LogReading(center, agents, as_json=as_json, quiet=quiet, has_names=one is None)
        return await reading.read(query, follow=follow)

    return ask(where, run)


async def _all(center: AsyncCenter, target: str) -> list[Agent]:
    preview = await center.preview_target(target, limit=MOST_HOSTS)
    if not preview.count:
        raise Invalid(f"No host fits {target!r}. `outrider targets` shows whom an expression means.")
    if preview.count > MOST_HOSTS:
        raise Invalid(f"{target!r} means {preview.count} hosts; {MOST_HOSTS} can be followed at once.")
    return preview.agents
