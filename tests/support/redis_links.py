"""Links to Redis as tests want them: connected, with an inbox, closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from deployd.config.brokers import Redis
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.redis.driver import redis_driver

from .inboxes import Heard, hearing

__all__ = ["connect", "linked", "unwrapped"]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what a nursery wraps, when it is one error."""
    try:
        yield
    except ExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None


@asynccontextmanager
async def linked(settings: Redis, *channels: str) -> AsyncIterator[tuple[Bridged, Heard]]:
    """A broker that is connected and hears these channels."""
    with unwrapped():
        async with hearing(Bridged(redis_driver(settings)), channels, 10) as both:
            yield both


async def connect(settings: Redis) -> None:
    """Connect, publish and listen once, and close: for settings that may not work."""
    async with linked(settings, "room.hall") as (broker, heard):
        with trio.fail_after(10):
            await broker.publish([("room.hall", b"knock")])
        await heard.until_heard(1)
