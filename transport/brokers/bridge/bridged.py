"""Where trio meets asyncio, which is all that the brokers' client libraries know.

One `Bridged` is one incarnation: a driver, a thread and an asyncio loop, thrown away together. The
thread is never waited for: a library may swallow cancellation, hang or block its loop, and then
the thread is abandoned and lets go of its descriptors when it wakes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import trio

from ...errors import BrokerUnavailable
from ..contract import Broker, Channel, Inbox, Message, refuse_too_large
from .bridge import Incarnation
from .driver import Driver, Feed

__all__ = ["Bridged", "Driver", "Feed"]

_CLOSE: Final = 0.8
"""Seconds after which a thread that has not ended is abandoned."""


class Bridged(Broker):
    """The broker that a driver makes, on a thread and a loop of its own."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._incarnation: Incarnation | None = None
        self._closed = False

    @property
    def max_payload(self) -> int:  # type: ignore[override]  # the driver's, which may change
        """Bytes that one message may have; known for certain when `connect` has returned."""
        return self._driver.max_payload

    @property
    def endpoint(self) -> str:  # type: ignore[override]  # the driver's, which may change
        """Where the broker is, to show: never with a secret in it."""
        return self._driver.endpoint

    @property
    def node(self) -> str:  # type: ignore[override]  # the driver's, which may change
        """Which server this connection is with; empty is unknown."""
        return self._driver.node

    @property
    def routed(self) -> bool:  # type: ignore[override]  # the driver's, which may change
        """Whether other servers learn only later what is subscribed on this one."""
        return self._driver.routed

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Start the thread and let the driver open; once.

        The nursery gets a task that closes this when it is cancelled, for owners that died.
        """
        if self._incarnation is not None or self._closed:
            raise BrokerUnavailable("A broker object connects once: make another one.")
        try:
            self._incarnation = incarnation = Incarnation(self._driver, inbox)
            incarnation.start()
        except (OSError, RuntimeError):
            self._incarnation, self._closed = None, True
            raise BrokerUnavailable(
                f"{self.endpoint}: no descriptor or thread is left: raise the system's limits."
            ) from None
        nursery.start_soon(_close_when_cancelled, incarnation)
        await self._call(lambda: self._driver.open(incarnation.feed))

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels."""
        await self._call(lambda: self._driver.subscribe(channels))

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels again, which may be heard no more."""
        await self._call(lambda: self._driver.resubscribe(channels))

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer."""
        await self._call(lambda: self._driver.unsubscribe(channels))

    async def publish(self, batch: Sequence[Message]) -> None:
        """Hand over messages, in order; nothing of the batch is sent when one is too large."""
        refuse_too_large(batch, self.max_payload)
        await self._call(lambda: self._driver.publish(batch))

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return what the driver says."""
        return self._driver.probes(channel)

    async def close(self) -> None:
        """Let go of everything; a thread that does not end in time is abandoned."""
        self._closed = True
        if self._incarnation is None:
            await trio.lowlevel.checkpoint()
            return
        self._incarnation.begin_close()
        with trio.move_on_after(_CLOSE):
            await self._incarnation.ended.wait()
            self._incarnation.join()
            return
        self._incarnation.give_up()

    async def _call(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._incarnation is None or self._closed:
            raise BrokerUnavailable(f"{self.endpoint}: not connected.")
        await self._incarnation.call(function)


async def _close_when_cancelled(incarnation: Incarnation) -> None:
    try:
        # Not for the thread's end: one that is abandoned must not hold up its owner's nursery.
        await incarnation.closing.wait()
    finally:
        incarnation.begin_close()
