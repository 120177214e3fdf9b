"""Finds the user that a person means by an id or a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.domain.errors import NotFound
from outrider.kit.nearest import nearest

if TYPE_CHECKING:
    from outrider.client import AsyncCenter, UserFacts


async def find_user(center: AsyncCenter, name: str) -> UserFacts:
    """Return the user with this id or name. Raises NotFound, with the nearest name there is."""
    users = await center.users()
    for user in users:
        if name in (user.id, user.username):
            return user
    guess = nearest(name, [user.username for user in users])
    hint = f"Did you mean {guess!r}?" if guess else "`outrider users` lists them."
    raise NotFound(f"There is no user {name[:80]!r}. {hint}")
