"""The driver on an asyncio loop, with a feed that is as slow as the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from deployd.transport import BrokerError
from deployd.transport.brokers.contract import Message
from deployd.transport.brokers.rabbitmq.driver import RabbitDriver
from support.rabbitmq_server import RabbitServer


class Slow:
    """A feed that takes nothing until it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.taken: list[int] = []
        self.changed = asyncio.Event()
        self.losses: list[BrokerError] = []
        self.lose = asyncio.Event()

    async def put(self, channel: str, payload: bytes) -> None:
        await self.let.wait()
        self.taken.append(int(payload))
        self.changed.set()

    def lost(self, error: BrokerError) -> None:
        self.losses.append(error)
        self.lose.set()

    def unheard(self, channels: Sequence[str]) -> None: ...

    async def until_lost(self, number: int) -> None:
        while len(self.losses) < number:
            self.lose.clear()
            await self.lose.wait()

    async def until(self, number: int) -> None:
        while number not in self.taken:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def slow_and_fast(
    server: RabbitServer, ttl: float
) -> AsyncIterator[tuple[RabbitDriver, RabbitDriver, Slow]]:
    settings = server.settings(exchange="slow", queue_length=100, prefetch=20)
    slow, fast, feed = RabbitDriver(settings, ttl), RabbitDriver(settings, ttl), Slow()
    await slow.open(feed)
    await fast.open(Slow())
    try:
        await slow.subscribe(["room.a"])
        yield slow, fast, feed
    finally:
        await slow.close()
        await fast.close()


def numbers(start: int, stop: int) -> list[Message]:
    return [("room.a", str(number).encode()) for number in range(start, stop)]


def test_a_slow_pod_misses_the_oldest_is_told_and_gets_the_others_in_order(
    rabbitmq_server: RabbitServer,
) -> None:
    async def scenario() -> None:
        async with slow_and_fast(rabbitmq_server, 60) as (_, fast, feed), asyncio.timeout(10):
            await fast.publish(numbers(0, 5000))
            assert not feed.taken
            await feed.lose.wait()
            assert "too slow" in str(feed.losses[0])
            feed.let.set()
            await fast.publish(numbers(5000, 5001))
            await feed.until(5000)
            assert feed.taken == sorted(set(feed.taken))
            # What was sent ahead, and what fits the queue; not the 5,000.
            assert feed.taken[:20] == list(range(20))
            assert feed.taken[-100:] == list(range(4901, 5001))
            assert len(feed.taken) <= 20 + 100 + 20

    asyncio.run(scenario())


def test_what_waits_for_too_long_is_a_loss(rabbitmq_server: RabbitServer) -> None:
    async def scenario() -> None:
        async with slow_and_fast(rabbitmq_server, 0.1) as (_, fast, feed), asyncio.timeout(10):
            await fast.publish(numbers(0, 30))
            await feed.until_lost(10)  # each runs out at its own time
            feed.let.set()
            await fast.publish(numbers(30, 31))
            await feed.until(30)
            assert feed.taken == [*range(20), 30]

    asyncio.run(scenario())


def test_a_pod_that_keeps_up_loses_nothing(rabbitmq_server: RabbitServer) -> None:
    async def scenario() -> None:
        async with slow_and_fast(rabbitmq_server, 60) as (_, fast, feed), asyncio.timeout(10):
            feed.let.set()
            for start in range(0, 2000, 50):
                await fast.publish(numbers(start, start + 50))
                await feed.until(start + 49)
            assert feed.taken == list(range(2000))
            assert not feed.losses

    asyncio.run(scenario())


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


class Way:
    """What is between a pod and a server: it counts how often something is waited for.

    Nothing comes back before both connections of the pod are there.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._both = asyncio.Event()
        self._carried: list[asyncio.Task[None] | None] = []
        self.turns: list[int] = []
        """Of each connection: how often the server answered what was said since its last answer."""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._carried.append(asyncio.current_task())
        place, asked = len(self.turns), asyncio.Event()
        self.turns.append(0)
        if len(self.turns) == 2:
            self._both.set()
        answers, there = await asyncio.open_connection("127.0.0.1", self._port)

        async def ask() -> None:
            while data := await reader.read(65536):
                asked.set()
                there.write(data)

        async def answer() -> None:
            await self._both.wait()
            while data := await answers.read(65536):
                self.turns[place] += asked.is_set()
                asked.clear()
                writer.write(data)

        both = [asyncio.ensure_future(ask()), asyncio.ensure_future(answer())]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        for end in (there, writer):
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    async def until_over(self) -> None:
        """Return when all connections are closed: nobody else would notice any more."""
        await asyncio.gather(*filter(None, self._carried))


def test_a_pod_waits_for_few_answers_until_it_hears(rabbitmq_server: RabbitServer) -> None:
    async def scenario() -> None:
        way, feed = Way(rabbitmq_server.port), Slow()
        feed.let.set()
        async with await asyncio.start_server(way.carry, "127.0.0.1", 0) as relay:
            port = relay.sockets[0].getsockname()[1]
            driver = RabbitDriver(rabbitmq_server.settings(exchange="far", port=port), 60)
            async with asyncio.timeout(20):
                await driver.open(feed)
                assert max(way.turns) <= 5, "each is a way there and back, which may be a long one"
                await driver.subscribe(["room.a"])
                await driver.publish(numbers(0, 3))
                await feed.until(2)
            await driver.close()
            await way.until_over()
        assert feed.taken == [0, 1, 2]

    asyncio.run(scenario())
