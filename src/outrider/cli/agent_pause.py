"""`outrider agent pause`, `resume` and `restart`."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Final

from cyclopts import Parameter

from outrider.cli.agent_door import Home, client_door
from outrider.cli.durations import parse_duration

_CLIENT: Final = "/api/v3/client"


def pause(
    *,
    how_long: Annotated[
        str | None,
        Parameter(name="--for", help="Until it goes on by itself: 90, 90s, 30m, 8h; else until told."),
    ] = None,
    home: Home = None,
) -> None:
    """Pause the agent: its work stops and new commands wait at the center, until resume or a restart.

    Commands that run run on to their end.
    """
    seconds = None if how_long is None else math.ceil(parse_duration(how_long, "--for"))
    timer = {} if seconds is None else {"resume_timer": seconds}
    client_door(home).ask("PATCH", _CLIENT, body={"paused": True, **timer})
    unit = " s" if how_long and how_long[-1].isdigit() else ""
    sys.stdout.write("Paused.\n" if seconds is None else f"Paused for {how_long}{unit}.\n")


def resume(*, home: Home = None) -> None:
    """Let the agent go on."""
    client_door(home).ask("PATCH", _CLIENT, body={"paused": False})
    sys.stdout.write("Resumed.\n")


def restart(*, home: Home = None) -> None:
    """Restart the agent in place. Commands that run run on."""
    client_door(home).ask("PATCH", _CLIENT, body={"restart": True})
    sys.stdout.write("Restarting.\n")
