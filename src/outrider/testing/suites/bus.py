"""What every bus must do: inherit `BusSuite` and give it a fixture `ends`, two served ends of one bus."""
# ruff: noqa: S101 - assert is how a suite speaks

import asyncio
from collections.abc import AsyncIterator

import pytest

from outrider.center.bus.contract import MAX_PAYLOAD, Bus
from outrider.center.bus.subscribers import Subscription

Ends = tuple[Bus, Bus]
"""Where a hint is published and where it is awaited; both may be the same."""

PATIENCE = 30.0
"""Seconds after which a hint that a test relies on counts as lost."""


async def next_of(subscription: Subscription) -> bytes:
    """The next hint, within bounds."""
    async with asyncio.timeout(PATIENCE):
        return await anext(subscription)


class BusSuite:
    """One promise a test."""

    async def test_a_subscriber_gets_the_hints_of_its_topic(self, ends: Ends) -> None:
        """In order, byte for byte, and no other topic's."""
        here, there = ends
        async with there.subscribe("commands.agent_a") as subscription:
            await here.publish("commands.agent_b", b"not for us")
            await here.publish("commands", b"not for us")
            await here.publish("commands.agent_a", b"one")
            await here.publish("commands.agent_a", b"")
            await here.publish("commands.agent_a", bytes(range(256)))
            assert [await next_of(subscription) for _ in range(3)] == [b"one", b"", bytes(range(256))]

    async def test_every_subscriber_gets_each_hint(self, ends: Ends) -> None:
        """Equal hints are not taken for one."""
        here, there = ends
        async with there.subscribe("events") as one, there.subscribe("events") as other:
            await here.publish("events", b"same")
            await here.publish("events", b"same")
            for subscription in (one, other):
                assert [await next_of(subscription) for _ in range(2)] == [b"same", b"same"]

    async def test_the_publisher_hears_itself(self, ends: Ends) -> None:
        """Once, although it is subscribed in the process it publishes from."""
        here, _ = ends
        async with here.subscribe("events") as subscription:
            await here.publish("events", b"first")
            await here.publish("events", b"second")
            assert [await next_of(subscription) for _ in range(2)] == [b"first", b"second"]

    @pytest.mark.parametrize("size", [MAX_PAYLOAD, MAX_PAYLOAD - 1, 5700, 5701])
    async def test_the_largest_hints_arrive_whole(self, ends: Ends, size: int) -> None:
        """Also two equal ones in a row, and small ones between."""
        here, there = ends
        hints = [b"\xff" * size, b"small", b"\xff" * size, b"\0" * size]
        async with there.subscribe("a" * 40 + ".b" * 3) as subscription:
            for hint in hints:
                await here.publish("a" * 40 + ".b" * 3, hint)
            assert [await next_of(subscription) for _ in hints] == hints

    async def test_a_slow_subscriber_keeps_the_newest(self, ends: Ends) -> None:
        """The oldest are dropped and counted; nobody waits for it."""
        here, there = ends
        async with there.subscribe("events", buffer=3) as slow, there.subscribe("events") as quick:
            for number in range(10):
                await here.publish("events", b"%d" % number)
            assert [await next_of(quick) for _ in range(10)] == [b"%d" % number for number in range(10)]
            assert [await next_of(slow) for _ in range(3)] == [b"7", b"8", b"9"]
            assert slow.dropped == len(range(7))
            assert quick.dropped == 0

    async def test_a_subscription_ends_with_its_block(self, ends: Ends) -> None:
        """A later one of the same topic starts empty and works."""
        here, there = ends
        async with there.subscribe("events"):
            await here.publish("events", b"before")
        async with there.subscribe("other") as marker:
            await here.publish("other", b"marker")
            assert await next_of(marker) == b"marker"
        async with there.subscribe("events") as subscription:
            await here.publish("events", b"after")
            assert await next_of(subscription) == b"after"

    async def test_closing_ends_every_iteration(self, ends: Ends) -> None:
        """What has arrived can still be read; a subscription made later is over at once."""
        here, there = ends
        async with there.subscribe("events") as subscription:
            await there.publish("events", b"last")
            await there.close()
            assert await rest_of(subscription) == [b"last"]
        async with there.subscribe("events") as late:
            assert await rest_of(late) == []
        await here.publish("events", b"to nobody")

    @pytest.mark.parametrize("topic", ["", ".", "a.", ".a", "a..b", "a b", "a.b.c.d.e", "ä", "a" * 41, "a\n"])
    async def test_a_malformed_topic_is_refused(self, ends: Ends, topic: str) -> None:
        """On both sides."""
        here, _ = ends
        with pytest.raises(ValueError, match="is no topic"):
            await here.publish(topic, b"")
        with pytest.raises(ValueError, match="is no topic"):
            async with here.subscribe(topic):
                pass

    async def test_an_oversized_hint_is_refused(self, ends: Ends) -> None:
        """It would not be a hint any more."""
        here, _ = ends
        with pytest.raises(ValueError, match=f"at most {MAX_PAYLOAD} bytes"):
            await here.publish("events", bytes(MAX_PAYLOAD + 1))


async def rest_of(subscription: AsyncIterator[bytes]) -> list[bytes]:
    """What is left of an iteration that ends."""
    async with asyncio.timeout(PATIENCE):
        return [hint async for hint in subscription]
