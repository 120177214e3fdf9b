"""The usual way through the items of one write: each by itself, so that one that can't be harms no other."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from outrider.center.store.writer import Transaction
from outrider.domain.errors import OutriderError

T = TypeVar("T")
R = TypeVar("R")


async def one_by_one(
    tx: Transaction, items: Sequence[T], write: Callable[[Transaction, T], Awaitable[R]]
) -> list[R | Exception]:
    """Return what `write` has given for each item, or the OutriderError that it has raised.

    It raises before it writes anything of that item: the transaction goes on for the others.
    """
    results: list[R | Exception] = []
    for item in items:
        try:
            results.append(await write(tx, item))
        except OutriderError as error:
            results.append(error)
    return results
