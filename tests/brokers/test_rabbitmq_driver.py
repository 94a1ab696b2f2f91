"""The driver on an asyncio loop, with a feed that is as slow as the test wants."""

from __future__ import annotations

import asyncio

import pytest

from deployd.transport import BrokerError
from deployd.transport.brokers.rabbitmq import RabbitDriver
from support.rabbitmq_server import RabbitServer


class Slow:
    """A feed that takes nothing until it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.taken: list[int] = []
        self.changed = asyncio.Event()
        self.losses: list[BrokerError] = []

    async def put(self, channel: str, payload: bytes) -> None:
        await self.let.wait()
        self.taken.append(int(payload))
        self.changed.set()

    def lost(self, error: BrokerError) -> None:
        self.losses.append(error)

    async def until(self, number: int) -> None:
        while number not in self.taken:
            self.changed.clear()
            await self.changed.wait()


async def flood(server: RabbitServer, count: int, ttl: float) -> list[int]:
    """Publish numbers to a slow pod, let it go, and return what it got, from 0 to `count`."""
    settings = server.settings(exchange="slow", queue_length=100, prefetch=20)
    slow, fast = RabbitDriver(settings, ttl), RabbitDriver(settings, ttl)
    feed = Slow()
    await slow.open(feed)
    await fast.open(Slow())
    try:
        await slow.subscribe(["room.a"])
        await fast.publish([("room.a", str(number).encode()) for number in range(count)])
        assert not feed.taken
        feed.let.set()
        await fast.publish([("room.a", str(count).encode())])
        async with asyncio.timeout(10):
            await feed.until(count)
    finally:
        await slow.close()
        await fast.close()
    assert not feed.losses
    return feed.taken


def test_a_slow_pod_misses_the_oldest_messages_and_gets_the_others_in_order(
    rabbitmq_server: RabbitServer,
) -> None:
    taken = asyncio.run(flood(rabbitmq_server, 5000, ttl=60))
    assert taken == sorted(set(taken))
    # What was sent ahead, and what fits the queue; not the 5,000.
    assert taken[:20] == list(range(20))
    assert taken[-100:] == list(range(4901, 5001))
    assert len(taken) <= 20 + 100 + 20


@pytest.mark.parametrize("prefetch", [1, 2, 3])
def test_few_messages_ahead_are_enough(rabbitmq_server: RabbitServer, prefetch: int) -> None:
    async def scenario() -> None:
        settings = rabbitmq_server.settings(exchange="few", prefetch=prefetch)
        driver, feed = RabbitDriver(settings, 60), Slow()
        feed.let.set()
        await driver.open(feed)
        await driver.subscribe(["room.a"])
        await driver.publish([("room.a", str(number).encode()) for number in range(50)])
        async with asyncio.timeout(10):
            await feed.until(49)
        await driver.close()
        assert feed.taken == list(range(50))

    asyncio.run(scenario())
