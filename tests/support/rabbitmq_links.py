"""A pod's link to a RabbitMQ server, without the pod, and what an operator does beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from deployd.config.brokers import RabbitMQ
from deployd.transport.brokers.bridge import Bridged
from deployd.transport.brokers.contract import Broker
from deployd.transport.brokers.rabbitmq.driver import RabbitDriver

from .inboxes import HANGS, Heard
from .rabbitmq_server import RabbitServer

__all__ = ["ROOM", "joined", "operate"]

ROOM: Final = "room.a"


@asynccontextmanager
async def joined(
    settings: RabbitMQ, ttl: float = 60, *, within: float = 4 * HANGS
) -> AsyncIterator[tuple[Broker, Heard]]:
    """Be a link whose messages live for `ttl`; what is done with it is over `within` (seconds)."""
    heard = Heard()
    async with trio.open_nursery() as nursery:
        broker = Bridged(RabbitDriver(settings, ttl))
        try:
            await broker.connect(heard, nursery)
            with trio.fail_after(within):
                yield broker, heard
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()
            nursery.cancel_scope.cancel()


async def operate(server: RabbitServer, *words: str) -> str:
    return await trio.to_thread.run_sync(server.ctl, *words)
