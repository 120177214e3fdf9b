"""Items of one write, each by itself."""

import pytest

from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.writer import Transaction
from outrider.domain.errors import NotFound

_NONE = Transaction(None, 0.0)  # type: ignore[arg-type]  # nothing is asked of it


async def _halved(_: Transaction, number: int) -> int:
    if number % 2:
        raise NotFound(f"{number} has no half")
    if number < 0:
        raise ValueError(number)
    return number // 2


async def test_one_that_can_not_be_harms_no_other() -> None:
    """Each has its result, in their order; what is no refusal ends the whole transaction."""
    first, second, third = await one_by_one(_NONE, [4, 3, 8], _halved)
    assert (first, third) == (2, 4)
    assert isinstance(second, NotFound)
    assert await one_by_one(_NONE, [], _halved) == []
    with pytest.raises(ValueError, match="-2"):
        await one_by_one(_NONE, [-2], _halved)
