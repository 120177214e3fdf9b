"""Whom a target means: one agent by its name, or all that an expression fits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from outrider.cli.gathering import names
from outrider.cli.prompts import confirm
from outrider.domain.targets.expression import Id, Name
from outrider.domain.targets.parser import parse

if TYPE_CHECKING:
    from outrider.client import TargetPreview

ASK_ABOVE: Final = 10
"""A dispatch to more hosts than this is asked about first, where somebody is there to answer."""
PREVIEWED: Final = 12


def single(target: str) -> str | None:
    """The id, label or hostname that a target consists of; None when it is an expression for many.

    Raises InvalidTarget, which points at the mistake, for one that can't be read.
    """
    match parse(target):
        case Id(agent_id=name) | Name(text=name):
            return name
        case _:
            return None


def describe(preview: TargetPreview) -> str:
    """Say whom a target means: how many, in which status, and the first of them."""
    count = "1 host" if preview.count == 1 else f"{preview.count} hosts"
    statuses = ", ".join(f"{number} {status}" for status, number in sorted(preview.by_status.items()))
    shown = [agent.label or agent.hostname or agent.id for agent in preview.agents]
    more = f" and {preview.count - len(shown)} more" if preview.count > len(shown) else ""
    listed = names(shown, most=len(shown))
    return f"{count} ({statuses}): {listed}{more}" if shown else count


def confirm_many(preview: TargetPreview, what: str, *, yes: bool) -> None:
    """Ask before `what` goes to many hosts, where somebody can be asked. Raises Invalid for a no."""
    if yes or preview.count <= ASK_ABOVE or not sys.stdin.isatty():
        return
    sys.stderr.write(f"This means {describe(preview)}.\n")
    confirm(f"Run {what} on {preview.count} hosts?")
