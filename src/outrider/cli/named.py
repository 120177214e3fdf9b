"""Finds the group or the profile that a person means by its name or its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from outrider.domain.errors import NotFound
from outrider.kit.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outrider.client import AsyncCenter, Group, Profile


class _Named(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


async def find_group(center: AsyncCenter, name: str) -> Group:
    """Return the group of this name or id. Raises NotFound, with the nearest name there is."""
    return _found(name, await center.groups(), "group")


async def find_profile(center: AsyncCenter, name: str) -> Profile:
    """Return the profile of this name or id. Raises NotFound, with the nearest name there is."""
    return _found(name, await center.profiles(), "profile")


def _found(name: str, among: Sequence[N], kind: str) -> N:
    # A name is there once; an id is nobody's name unless somebody means to confuse.
    for one in among:
        if name == one.id:
            return one
    for one in among:
        if name == one.name:
            return one
    guess = nearest(name, [one.name for one in among])
    hint = f"Did you mean {guess!r}?" if guess else f"`outrider {kind}s` lists them."
    raise NotFound(f"There is no {kind} {name[:80]!r}. {hint}")
