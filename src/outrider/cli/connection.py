"""Which center a command line is for, and work done in it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from outrider.cli import centers
from outrider.domain.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from outrider.client import AsyncCenter

T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """The option that every command about a center takes."""

    center: Annotated[
        str | None,
        Parameter(env_var="OUTRIDER_CENTER", help="Saved center to ask; else the one signed in to last."),
    ] = None


def ask(where: Where | None, work: Callable[[AsyncCenter], Awaitable[T]]) -> T:
    """Do `work` with the center that `where` names, signed in. Raises what it raises."""
    saved = centers.load(centers.default_path(os.environ))
    name, found = saved.find(where.center if where else None)
    if not found.token:
        raise Unauthenticated(f"You are signed out of {name}. Sign in with `outrider login --center {name}`.")

    # Loaded this late, because what went wrong so far is told at once.
    from outrider.client import AsyncCenter

    async def run() -> T:
        async with AsyncCenter(
            found.url,
            token=found.token,
            authority=found.authority or None,
            allow_plain=found.allow_plain,
        ) as center:
            return await work(center)

    return asyncio.run(run())
