"""Finds the rule or channel that a person means by its name or id."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from outrider.domain.errors import Conflict, NotFound
from outrider.kit.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outrider.client import AlertChannel, AlertRule, AsyncCenter

T = TypeVar("T", "AlertRule", "AlertChannel")


async def find_rule(center: AsyncCenter, name: str) -> AlertRule:
    """Return the one rule of this name or id. Raises NotFound, or Conflict when several are meant."""
    return _one("rule", name, await center.alert_rules())


async def find_channel(center: AsyncCenter, name: str) -> AlertChannel:
    """Return the one channel of this name or id. Raises NotFound, or Conflict when several are meant."""
    return _one("channel", name, await center.alert_channels())


def _one(kind: str, name: str, known: Sequence[T]) -> T:
    found = [each for each in known if name in (each.id, each.name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.id for each in found)
        raise Conflict(f"{len(found)} {kind}s are called {name[:80]!r}: {ids}. Name one by its id.")
    guess = nearest(name, [each.name for each in known])
    hint = f"Did you mean {guess!r}?" if guess else f"`outrider alerts {kind}s` lists them."
    raise NotFound(f"There is no {kind} {name[:80]!r}. {hint}")
