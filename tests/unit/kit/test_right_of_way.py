"""Promises of outrider.kit.right_of_way."""

import asyncio

from outrider.kit.right_of_way import RightOfWay

_LONG = 3600.0


async def test_nothing_ahead_holds_nobody() -> None:
    """Before anything went first, and once it is through."""
    way = RightOfWay(most=_LONG, after=0.0)
    await way.give()
    with way.taken():
        pass
    await way.give()


async def test_bulk_waits_until_all_are_through() -> None:
    """Also when several go first, one within the other."""
    way = RightOfWay(most=_LONG, after=0.0)
    loop = asyncio.get_running_loop()
    with way.taken():
        with way.taken():
            giving = loop.create_task(way.give())
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not giving.done()
    await giving


async def test_bulk_stands_aside_for_a_moment_at_most() -> None:
    """What goes first and does not end does not hold it for ever; nor does what follows from it."""
    way = RightOfWay(most=0.001, after=_LONG)
    with way.taken():
        await way.give()
    await way.give()


async def test_way_is_given_a_little_longer() -> None:
    """What follows from it goes first, too; then nobody is held any more."""
    way = RightOfWay(most=_LONG, after=0.01)
    with way.taken():
        pass
    giving = asyncio.get_running_loop().create_task(way.give())
    await asyncio.sleep(0)
    assert not giving.done()
    await giving
