"""`outrider agent config` and `prune`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli import exit_codes
from outrider.cli.agent_door import Home, edge_door
from outrider.cli.listing import AsJson, show_facts, show_json
from outrider.domain.edge_config import OPTIONS, option_called
from outrider.domain.errors import Invalid
from outrider.kit.nearest import nearest
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Mapping


def config(
    *changes: Annotated[str, Parameter(help="NAME=value sets an option; without any, all are explained.")],
    as_json: AsJson = False,
    home: Home = None,
) -> int:
    """Set options of the agent: `outrider agent config cpu-limit=50 logs-level=debug`.

    They apply at once. Ends with 2 when one of them was refused; the others are in force then.
    """
    if not changes:
        _explain(as_json=as_json)
        return 0
    given = dict(_pair(each) for each in changes)
    refused: Mapping[str, str] = edge_door(home).ask("POST", "/v2/config", body=given)
    if as_json:
        show_json(refused)
    else:
        for name, why in refused.items():
            sys.stderr.write(f"outrider: {escape(f'{name}: {why}' if name not in why else why)}\n")
        taken = [name for name in given if name not in refused]
        if taken:
            sys.stdout.write(f"Set {', '.join(taken)}.\n")
    return exit_codes.USAGE if refused else 0


def prune(*, as_json: AsJson = False, home: Home = None) -> None:
    """Remove the container images that nothing uses."""
    told = edge_door(home).ask("POST", "/v2/prune")
    if as_json:
        show_json(told)
    else:
        sys.stdout.write(f"{told.get('message', '')}\n")


def _explain(*, as_json: bool) -> None:
    told = {option.name: f"{option.means} Takes {option.rule}." for option in OPTIONS.values()}
    if as_json:
        show_json(told)
    else:
        show_facts(told)


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise Invalid(f"{word[:80]!r} sets nothing: write NAME=value.")
    if option_called(name) is None:
        guess = nearest(name, list(OPTIONS))
        hint = f"Did you mean {guess}?" if guess else "`outrider agent config` lists them."
        raise Invalid(f"There is no option {name[:80]!r}. {hint}")
    return name, value
