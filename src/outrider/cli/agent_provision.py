"""`outrider agent provision` and `deprovision`."""

from __future__ import annotations

import sys
from typing import Annotated, Final

from cyclopts import Parameter

from outrider.cli.agent_door import Home, edge_door, said_in
from outrider.cli.listing import AsJson, show_json
from outrider.cli.prompts import confirm
from outrider.domain.errors import Conflict, HostFault, Invalid, OutriderError

_OK: Final = 200
_FAILED: Final = 500
_LONGEST: Final = 4096


class NotTakenIn(OutriderError):
    """The agent could not do it; the detail has the reason that it gives."""

    code = "not_taken_in"


def provision(
    key: Annotated[
        str,
        Parameter(
            help="An enrolment key of the center, or its short form; - reads it from standard input.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Let this host join the center that is configured (`outrider agent config controller-url=...`)."""
    if key == "-":
        key = sys.stdin.readline(_LONGEST).strip()
    if not key:
        raise Invalid("An enrolment key is needed: `outrider keys new` makes one at the center.")
    answer = edge_door(home).send("POST", "/v2/provision", body={"provisioning-key": key})
    if answer.status == _FAILED:
        raise NotTakenIn(said_in(answer))
    if answer.status != _OK:
        raise (Conflict if answer.status == 409 else HostFault)(said_in(answer))  # noqa: PLR2004 - HTTP
    if as_json:
        show_json(answer.json())
    else:
        sys.stdout.write(f"This host is agent {answer.json().get('uuid', '')} of its center.\n")


def deprovision(
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Take this host out of its center: what runs is ended, keys and names are wiped."""
    door = edge_door(home)
    if not yes:
        confirm("Take this host out of its center, and end what it runs for it?")
    answer = door.send("DELETE", "/v2/deprovision")
    if answer.status != _OK:
        raise NotTakenIn(said_in(answer))
    if as_json:
        show_json(answer.json())
    else:
        sys.stdout.write(f"{said_in(answer)}\n")
