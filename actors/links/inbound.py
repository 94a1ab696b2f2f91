"""What comes from the other pods, on its way to this pod's rooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...config import get_logger
from ...transport import EnvelopeError
from ...transport.brokers import Channel, Envelope, Greeting, Remote, room_channel, unpack
from .counters import Counters
from .outage import Degraded, Healed
from .peers import Peers
from .reception import Reception

__all__ = ["Inbound", "Listeners"]

_log = get_logger("realtime")


class Listeners(Protocol):
    """Who is told: the pod's rooms and clients. Nothing here may wait or raise."""

    def deliver(self, room: str | None, events: Sequence[Remote], nbytes: int) -> int:
        """Hand another pod's events to a room; return how many found no place in its mailbox."""

    def degraded(self, outage: Degraded) -> None:
        """Tell that the pods are cut off."""

    def healed(self, outage: Healed) -> None:
        """Tell that they are not any more."""


class Inbound:
    """Reads what anybody who reaches the broker may have sent; hands on what is good and new."""

    def __init__(self, pod_id: str, listeners: Listeners, counters: Counters) -> None:
        self._listeners = listeners
        self._counters = counters
        self.reception = Reception(pod_id)
        self.peers = Peers(pod_id)

    def receive(self, channel: Channel, payload: bytes) -> None:
        """Take what came on any channel but the canary's; never waits, never raises."""
        try:
            message = unpack(payload)
        except EnvelopeError as error:
            self._drop(str(error))
            return
        if isinstance(message, Greeting):
            self.peers.greeted(message)
        elif isinstance(message, Envelope):
            self._take(channel, message, len(payload))
        else:
            self._drop("it is a probe where events belong")

    def _take(self, channel: Channel, envelope: Envelope, nbytes: int) -> None:
        room = envelope.room
        if channel != room_channel(room):
            self._drop("it is for another room than it came to")
            return
        fresh = self.reception.admit(envelope)
        if fresh:
            self._counters.received += len(fresh)
            self._counters.undelivered += self._listeners.deliver(room, fresh, nbytes)

    def _drop(self, reason: str) -> None:
        self._counters.invalid += 1
        if self._counters.invalid.bit_count() == 1:  # the first, and each time the number doubles
            _log.warning(
                "dropped what is not a pod's message",
                reason=reason,
                dropped=self._counters.invalid,
                remedy="keep others off the broker's prefix",
            )
