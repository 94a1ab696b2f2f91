"""The canary: what a pod says to itself over the broker, to know that it is neither mute nor deaf.

It proves the socket, the subscription and the delivery at once. A connection that looks alive and
delivers nothing, which client libraries cannot see, does not survive it.
"""

from __future__ import annotations

import math
import secrets
from typing import Final

import trio

from ...transport import BrokerUnavailable, EnvelopeError
from ...transport.brokers import Broker, Probe, pod_channel, probe, unpack

__all__ = ["Canary"]

LATE: Final = 10.0
"""Seconds that it may be late while other messages come: it stands in line with them, and a pod
with much to read is not deaf."""
STALL: Final = 0.25
"""Seconds that a deadline may be overslept before the pod itself is taken for the slow one."""


class Canary:
    """Sends a nonce on each of the broker's probing channels and waits until all are back."""

    def __init__(self, broker: Broker, pod_id: str, timeout: float) -> None:
        self._broker = broker
        self._pod_id = pod_id
        self._timeout = timeout
        self.channels = tuple(broker.probes(pod_channel(pod_id)))
        self._nonce = ""
        self._awaited: set[str] = set()
        self._back = trio.Event()
        self._heard_at = -math.inf

    async def prove(self) -> float:
        """Return the seconds that the slowest took. Raises `BrokerUnavailable` when one is lost."""
        began = trio.current_time()
        self._nonce, self._awaited = secrets.token_hex(8), set(self.channels)
        self._back = trio.Event()
        message = probe(self._pod_id, self._nonce)
        with trio.move_on_at(began + self._timeout):
            await self._broker.publish([(channel, message) for channel in self.channels])
            await self._back.wait()
        if not self._back.is_set():
            await self._stand_in_line(began)
        if not self._back.is_set():
            raise BrokerUnavailable(
                f"{self._broker.endpoint} did not bring back a probe within {self._timeout:g} s; "
                "it hangs, or the way to it does."
            )
        return trio.current_time() - began

    async def _stand_in_line(self, began: float) -> None:
        """Wait longer where the pod is the slow one: it is still reading, or was stalled.

        A pod that was stalled finds the deadline over before it has looked at what came meanwhile.
        """
        now = trio.current_time()
        last = now if now - began > self._timeout + STALL else -math.inf
        while not self._back.is_set():
            due = min(max(last, self._heard_at) + STALL, began + LATE)
            if trio.current_time() >= due:
                return
            with trio.move_on_at(due):
                await self._back.wait()

    def hears(self, channel: str, payload: bytes) -> bool:
        """Take what came if it is a probe, and say whether it was; others' prove nothing."""
        self._heard_at = trio.current_time()
        if channel not in self.channels:
            return False
        try:
            message = unpack(payload)
        except EnvelopeError:
            return False
        if not isinstance(message, Probe):
            return False
        if message.nonce == self._nonce:
            self._awaited.discard(channel)
            if not self._awaited:
                self._back.set()
        return True
