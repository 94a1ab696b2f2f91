"""Messages between the server and the pod: handed on in order, acknowledged when they were."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from ..bridge import Event, Feed
from ..contract import Channel

__all__ = ["Deliveries"]

_BYTES: Final = 16 * 2**20
"""Bytes that may wait, and one message more: the server counts only messages."""


class Deliveries:
    """What has arrived and waits for the pod: `prefetch` messages at most, the server sees to it.

    The connection goes on being read while the pod is slow, so that its end is noticed.
    """

    def __init__(
        self, feed: Feed, acknowledge: Callable[[int], Awaitable[None]], prefetch: int
    ) -> None:
        self._feed = feed
        self._acknowledge = acknowledge
        self._enough = max(1, prefetch // 2)
        self._waiting: deque[tuple[Channel | None, bytes, int]] = deque()
        self._bytes = 0
        self._changed = Event()

    async def append(self, channel: Channel | None, payload: bytes, tag: int) -> None:
        """Take a message; waits while too many bytes wait. Nobody wants one without a channel."""
        while self._bytes >= _BYTES:
            self._changed.clear()
            await self._changed.wait()
        self._waiting.append((channel, payload, tag))
        self._bytes += len(payload)
        self._changed.set()

    async def pump(self) -> None:
        """Hand on for ever; acknowledge every half of what the server sends ahead, and when idle.

        One acknowledgement for many: each costs the server as much as a message.
        """
        unacknowledged = 0
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            channel, payload, tag = self._waiting.popleft()
            if channel is not None:
                await self._feed.put(channel, payload)
            self._bytes -= len(payload)
            self._changed.set()
            unacknowledged += 1
            if unacknowledged >= self._enough or not self._waiting:
                await self._acknowledge(tag)
                unacknowledged = 0
