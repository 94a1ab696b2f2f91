"""The canary: what a pod says to itself over the broker, to know that it is neither mute nor deaf.

It proves the socket, the subscription and the delivery at once. A connection that looks alive and
delivers nothing, which client libraries cannot see, does not survive it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import trio

from ...transport import BrokerUnavailable
from ...transport.brokers import Probe, probe
from ...transport.brokers.contract import Broker, Message, pod_channel
from .awake_timeout import AwakeTimeouts

__all__ = ["Canary", "Publish"]

Publish: TypeAlias = Callable[[Sequence[Message]], Awaitable[None]]
"""Hands messages to the broker, signed where there is a secret."""

LATE: Final = 10.0
"""Seconds that it may be late while other messages come: it stands in line with them, and a pod
with much to read is not deaf."""
PAUSE: Final = 0.25
"""Seconds without a message after which nothing more is coming."""


class Canary:
    """Sends a nonce on each of the broker's probing channels and waits until all are back."""

    def __init__(
        self,
        broker: Broker,
        publish: Publish,
        pod_id: str,
        timeouts: AwakeTimeouts,
    ) -> None:
        self._broker = broker
        self._publish = publish
        self._pod_id = pod_id
        self._timeouts = timeouts
        self.channels = tuple(broker.probes(pod_channel(pod_id)))
        self._nonce = ""
        self._awaited: set[str] = set()
        self._back = trio.Event()
        self._came_at = 0.0

    async def prove(self) -> float:
        """Return the seconds that the slowest took. Raises `BrokerUnavailable` when one is lost.

        That the broker confirms it may take longer, and is none of its way.
        """
        began = self._timeouts.awake()
        self._nonce, self._awaited = secrets.token_hex(8), set(self.channels)
        self._back = trio.Event()
        message = probe(self._pod_id, self._nonce)
        with self._timeouts.limit():
            await self._publish([(channel, message) for channel in self.channels])
            self._timeouts.heard()
            await self._back.wait()
        if not self._back.is_set():
            await self._stand_in_line(began + LATE)
        if not self._back.is_set():
            raise BrokerUnavailable(
                f"{self._broker.endpoint} did not bring back a probe within "
                f"{self._timeouts.seconds:.2g} s; it hangs, or the way to it does."
            )
        return self._came_at - began

    async def _stand_in_line(self, deadline: float) -> None:
        """Wait longer while other messages come: the pod is the slow one, and still reading."""
        while not self._back.is_set():
            left = min(self._timeouts.heard_at + PAUSE, deadline) - self._timeouts.awake()
            if left <= 0:
                return
            with trio.move_on_after(left):
                await self._back.wait()

    def hears(self, channel: str, message: Probe) -> bool:
        """Take a probe, and say whether it belongs on this channel; an older one proves nothing."""
        if channel not in self.channels or message.origin != self._pod_id:
            return False
        if message.nonce == self._nonce:
            self._awaited.discard(channel)
            if not self._awaited:
                self._came_at = self._timeouts.awake()
                self._back.set()
        return True
