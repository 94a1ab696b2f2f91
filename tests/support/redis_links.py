"""Links to Redis as tests want them: connected, with an inbox, closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from deployd.config.brokers import RedisSettings
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.redis.driver import redis_driver

from .inboxes import Heard

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
async def linked(settings: RedisSettings, *channels: str) -> AsyncIterator[tuple[Bridged, Heard]]:
    """A broker that is connected and hears these channels."""
    broker, heard = Bridged(redis_driver(settings)), Heard()
    with unwrapped():
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_after(10):
                    await broker.connect(heard, nursery)
                    await broker.subscribe(channels)
                yield broker, heard
            finally:
                with trio.CancelScope(shield=True):
                    await broker.close()
                nursery.cancel_scope.cancel()


async def connect(settings: RedisSettings) -> None:
    """Connect, publish and listen once, and close: for settings that may not work."""
    async with linked(settings, "room.hall") as (broker, heard):
        with trio.fail_after(10):
            await broker.publish([("room.hall", b"knock")])
        await heard.until_heard(1)
