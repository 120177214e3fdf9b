"""`outrider agents update`: another version of the agent for many hosts, some at a time, shown as it goes."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, show_json
from outrider.cli.targeting import ASK_ABOVE
from outrider.domain.errors import Invalid
from outrider.domain.targets.errors import EmptyTarget
from outrider.domain.targets.parser import parse
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import Agent, AsyncCenter

_AT_ONCE: Final = 5


@Parameter(name="*")
@dataclass(frozen=True)
class Rolling:
    """How the hosts take their turns."""

    concurrency: Annotated[int, Parameter(help="Hosts at a time; 5 unless said otherwise.")] = _AT_ONCE
    max_failures: Annotated[
        str, Parameter(help="Begin no more after this many failures: 2, or 10%; 0 unless said otherwise.")
    ] = "0"
    offline: Annotated[
        Literal["wait", "skip"],
        Parameter(help="What hosts that are away now get: it later, or (unless said otherwise) not."),
    ] = "skip"
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask, however many hosts.")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Showing:
    """How it is shown."""

    as_json: AsJson = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], help="No remarks on stderr.")] = False


def update_agents(
    *,
    target: Annotated[str, Parameter(help="The hosts: 'tag:web and not status:offline', web-01, all.")],
    version: Annotated[
        str, Parameter(help="A version that the center keeps, such as 0.2.0; else its newest.")
    ] = "",
    force: Annotated[bool, Parameter(help="Also where it runs already.")] = False,
    rolling: Rolling = Rolling(),
    no_wait: Annotated[bool, Parameter(help="Send it, print its id and do not wait.")] = False,
    showing: Showing = Showing(),
    where: Where | None = None,
) -> int:
    """Update the agents of hosts, some at a time, and stop when too many fail.

    Each host fetches its bundle from the center, tries it, and goes back to the version it had when the new
    one does not reach the center. Commands run on. Ends with 0 when every host has the version, with 1 when
    one failed. Ctrl-C asks whether to cancel: then no more hosts begin.
    """
    from outrider.cli.exec import read_limit

    parse(target)
    limit = read_limit(rolling.max_failures)
    agents = [each for each in ask(where, lambda center: center.agents(target=target)) if _is_in(each)]
    if not agents:
        raise EmptyTarget(f"No host fits {target!r}, so no agent is updated.")
    going = [each for each in agents if rolling.offline == "wait" or each.status != "offline"]
    if not showing.quiet:
        sys.stderr.write(f"outrider: {describe(agents, going)}\n")
    if not going:
        raise Invalid("All of these hosts are offline: --offline wait lets them have it when they are back.")
    if not rolling.yes and len(going) > ASK_ABOVE and sys.stdin.isatty():
        from outrider.cli.prompts import confirm

        confirm(f"Update {len(going)} agents, {rolling.concurrency} at a time?")

    async def run(center: AsyncCenter) -> int:
        dispatch = await center.update_agents(
            target,
            version=version,
            force=force,
            concurrency=rolling.concurrency,
            max_failures=limit,
            offline=rolling.offline,
        )
        if no_wait:
            if showing.as_json:
                show_json(dispatch)
            else:
                sys.stdout.write(dispatch.id + "\n")
            return 0
        from outrider.cli.update_following import UpdateFollower

        names = [_name(each) for each in going]
        follower = UpdateFollower(center, dispatch, names, as_json=showing.as_json, quiet=showing.quiet)
        return await follower.follow()

    return ask(where, run)


def describe(agents: list[Agent], going: list[Agent]) -> str:
    """Say which versions hosts run before an update, and how many are left out."""
    versions = Counter(each.version or "an unknown version" for each in going)
    shown = ", ".join(
        f"{count} {'runs' if count == 1 else 'run'} {escape(version)}"
        for version, count in sorted(versions.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    left = len(agents) - len(going)
    out = "" if not left else f"{left} {'is' if left == 1 else 'are'} offline and left out"
    hosts = "1 host" if len(agents) == 1 else f"{len(agents)} hosts"
    return f"{hosts}: " + "; ".join(part for part in (shown, out) if part)


def _is_in(agent: Agent) -> bool:
    """Whether a host takes part: one that nobody has approved is meant by no dispatch."""
    return agent.status not in ("pending", "declined")


def _name(agent: Agent) -> str:
    return agent.label or agent.hostname or agent.id
