"""Connections to a NATS server, and why there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from deployd.config.brokers import Nats
from deployd.transport import BrokerError
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.nats.driver import NatsDriver

from .inboxes import Heard

__all__ = ["ROOM", "connected", "made", "refusal", "works"]

ROOM = "room.a"


def made(settings: Nats) -> Bridged:
    return Bridged(NatsDriver(settings))


@asynccontextmanager
async def connected(settings: Nats) -> AsyncIterator[tuple[Bridged, Heard]]:
    """A broker with these settings."""
    broker, heard = made(settings), Heard()
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(10):
                await broker.connect(heard, nursery)
                yield broker, heard
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()


async def refusal(settings: Nats) -> BrokerError:
    """Return why it does not connect."""
    with pytest.RaisesGroup(BrokerError, flatten_subgroups=True, allow_unwrapped=True) as caught:
        async with connected(settings):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BrokerError)
    return error


async def works(settings: Nats) -> bool:
    """Return whether it hears itself."""
    async with connected(settings) as (broker, heard):
        await broker.subscribe([ROOM])
        await broker.publish([(ROOM, b"hello")])
        await heard.until_heard(1)
    return heard.messages == [(ROOM, b"hello")]
