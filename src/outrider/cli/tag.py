"""`outrider tag`: add and remove an agent's tags."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.naming import find_agent, name_of
from outrider.domain.errors import Invalid
from outrider.domain.tags import parse_tag, parse_tags
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

    from outrider.client import Agent, AsyncCenter


def command() -> App:
    """Make the command."""
    app = make_app("outrider tag")
    app.default(tag)
    return app


def tag(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    /,
    *changes: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="+web adds, -db removes, NAME=value sets.")
    ],
    where: Where | None = None,
) -> None:
    """Change an agent's tags: `outrider tag web-01 +web -db SITE=x1`. Without changes it shows them."""

    async def change(center: AsyncCenter) -> Agent:
        found = await find_agent(center, agent)
        if not changes:
            return found
        return await center.edit_agent(found.id, tags=changed_tags(found.tags, changes))

    after = ask(where, change)
    sys.stdout.write(f"{name_of(after)}: {escape(' '.join(after.tags)) or '(no tags)'}\n")


def changed_tags(tags: Sequence[str], changes: Sequence[str]) -> tuple[str, ...]:
    """Apply changes, in their order, to an agent's tags. Raises Invalid for one that can't be read."""
    kept = list(tags)
    for change in changes:
        if change.startswith("-"):
            gone = change[1:]
            kept = [one for one in kept if one != gone and one.partition("=")[:2] != (gone.upper(), "=")]
        elif change.startswith("+") or "=" in change:
            kept.append(parse_tag(change.removeprefix("+")))
        else:
            raise Invalid(
                f"{change[:80]!r} does not say what to do: +{change[:80]} adds, -{change[:80]} removes it.",
                field="tags",
            )
    return parse_tags(kept)
