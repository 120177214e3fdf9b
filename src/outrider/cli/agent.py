"""`outrider agent` with a word: ask and tell the agent of this host, also while its center is away.

Without a word the program is the agent itself (`outrider.__main__`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.cli.agent_config import config, prune
from outrider.cli.agent_pause import pause, restart, resume
from outrider.cli.agent_provision import deprovision, provision
from outrider.cli.agent_status import info, status, version
from outrider.cli.agent_tags import tags
from outrider.cli.app import make_app

if TYPE_CHECKING:
    from cyclopts import App


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider agent",
        summary="Alone: run the agent. On its host: look at it, configure it, pause it, set its tags.",
    )
    for word in (status, info, version, provision, deprovision, config, prune):
        app.command(word)
    app.command(pause)
    app.command(resume)
    app.command(restart)
    app.command(tags)
    return app
