"""What tests of brokers listen with."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from deployd.transport import BrokerError
from deployd.transport.brokers.contract import Broker, Channel, Message

B = TypeVar("B", bound=Broker)

__all__ = ["HANGS", "Heard", "descriptors", "hearing", "threads", "wait_until"]

HANGS = 5.0
"""Seconds after which something hangs: what it must not wait for comes later, or never."""


class Heard:
    """An inbox that remembers, and whose changes can be waited for."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.losses: list[BrokerError] = []
        self.silent: list[Channel] = []
        self._changed = trio.Event()

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Remember a message."""
        self.messages.append((channel, payload))
        self._wake()

    def full(self, resume: Callable[[], object]) -> bool:
        """Have room for everything."""
        return False

    def lost(self, error: BrokerError) -> None:
        """Remember a loss."""
        self.losses.append(error)
        self._wake()

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Remember what is not heard any more."""
        self.silent += channels
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float = HANGS) -> None:
        """Return when it is so; raises `trio.TooSlowError`."""
        with trio.fail_after(seconds):
            while not condition():
                await self._changed.wait()

    async def until_heard(self, count: int, seconds: float = HANGS) -> None:
        """Return when there are so many messages."""
        await self.until(lambda: len(self.messages) >= count, seconds)

    async def until_lost(self, seconds: float = HANGS) -> None:
        """Return when it is lost."""
        await self.until(lambda: bool(self.losses), seconds)


def descriptors() -> int:
    """Count this process's open descriptors."""
    return len(os.listdir("/proc/self/fd"))


def threads() -> list[str]:
    """Name the threads of brokers."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("broker")]


async def wait_until(condition: Callable[[], bool], seconds: float = HANGS) -> None:
    """Ask again until it is so: for what other threads do, which tell nobody."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - nobody could set an event
            await trio.sleep(0.005)


@asynccontextmanager
async def hearing(
    broker: B, channels: Sequence[Channel], within: float
) -> AsyncIterator[tuple[B, Heard]]:
    """Connect in so many seconds, hear channels, and close at the end."""
    heard = Heard()
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(within):
                await broker.connect(heard, nursery)
                await broker.subscribe(channels)
            yield broker, heard
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()
            nursery.cancel_scope.cancel()
