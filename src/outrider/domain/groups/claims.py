"""Whose profile an agent gets that is in several groups."""

from collections.abc import Iterable

import msgspec


class Claim(msgspec.Struct, frozen=True):
    """A group with a profile that has the agent in it. Ids sort by when they were made."""

    priority: int
    group_id: str
    profile_id: str


def winner(claims: Iterable[Claim]) -> Claim | None:
    """Return the claim that counts: of the greatest priority the oldest group's. None without any."""
    return min(claims, key=lambda claim: (-claim.priority, claim.group_id), default=None)
