"""`outrider decline`: turn agents away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where
from outrider.cli.pending import settle

if TYPE_CHECKING:
    from cyclopts import App


def command() -> App:
    """Make the command."""
    app = make_app("outrider decline")
    app.default(decline)
    return app


def decline(
    *agents: Annotated[str, Parameter(name="AGENT", help="Ids, labels or hostnames.")],
    all_pending: Annotated[bool, Parameter(help="All agents that wait for approval.")] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Turn agents away. Approving one later lets it in."""
    settle(
        agents,
        all_pending=all_pending,
        yes=yes,
        where=where,
        words=("Decline", "Declined"),
        by=lambda center, agent_id: center.decline(agent_id),
    )
