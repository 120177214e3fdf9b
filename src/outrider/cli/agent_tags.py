"""`outrider agent tags`: this host's NAME=value tags."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from outrider.cli.agent_door import Home, client_door
from outrider.cli.listing import AsJson, show_facts, show_json
from outrider.domain.errors import HostFault, Invalid


def tags(
    *changes: Annotated[str, Parameter(help="NAME=value sets one; without any, all are shown.")],
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Show this host's tags, or set some: `outrider agent tags SITE=x1 ROLE=db`."""
    given = [_pair(each) for each in changes]
    door = client_door(home)
    if given:
        body = {"tags": [{"name": name, "value": value} for name, value in given]}
        door.ask("PATCH", "/api/v3/tags", body=body)
    shown = _read(door.ask("GET", "/api/v3/tags"))
    if as_json:
        show_json([{"name": name, "value": value} for name, value in shown.items()])
    else:
        show_facts(shown)


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise Invalid(f"{word[:80]!r} sets nothing: write NAME=value.")
    return name, value


def _read(answer: Any) -> dict[str, str]:
    try:
        return {str(tag["name"]): str(tag["value"]) for tag in answer["tags"]}
    except (LookupError, TypeError) as error:
        raise HostFault("The agent's answer can't be read; is it of another release?") from error
