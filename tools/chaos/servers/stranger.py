"""Somebody who is no pod and writes on the broker: rubbish, and what pods have said."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

import cattrs
import trio

from ....config.brokers import Nats, RabbitMQ, Redis
from ....transport import BrokerError
from ....transport.brokers.bridge.bridged import Bridged
from ....transport.brokers.contract import EVERYONE, Broker, Channel, Message, room_channel
from ....transport.brokers.nats.driver import NatsDriver
from ....transport.brokers.rabbitmq.driver import RabbitDriver
from ....transport.brokers.redis.driver import redis_driver

__all__ = ["Stranger"]

KEPT: Final = 64
"""Messages of pods that a stranger remembers."""
PAUSE: Final = 0.2
"""Seconds between what a stranger writes."""
PATIENCE: Final = 2.0
"""Seconds for the broker to take it."""
SEED: Final = 7


class Stranger:
    """One that lives until it is cancelled; `section` is a pod's `broker` section of settings.

    It forges where pods sign what they say: elsewhere nobody can tell what it makes of their words.
    """

    def __init__(
        self, section: Mapping[str, object], rooms: Sequence[str], *, forges: bool
    ) -> None:
        self._forges = forges
        self._section = section
        self._channels: Sequence[Channel] = (EVERYONE, *map(room_channel, rooms))
        self._heard: deque[Message] = deque(maxlen=KEPT)
        self._said: deque[bytes] = deque(maxlen=4 * KEPT)
        self._draw = random.Random(SEED)  # noqa: S311 - chance, not secrecy
        self.written = 0

    async def run(self) -> None:
        """Write, and come again whenever the broker has gone."""
        while True:
            broker = make_link(self._section)
            async with trio.open_nursery() as nursery:
                try:
                    with trio.fail_after(PATIENCE):
                        await broker.connect(self, nursery)
                        await broker.subscribe(self._channels)
                    await self._write(broker)
                except (BrokerError, trio.TooSlowError):
                    pass
                finally:
                    with trio.CancelScope(shield=True):
                        await broker.close()
                nursery.cancel_scope.cancel()
            await trio.sleep(PAUSE)

    async def _write(self, broker: Broker) -> None:
        while True:
            batch = self._next()
            self._said.extend(payload for _, payload in batch)
            with trio.fail_after(PATIENCE):
                await broker.publish(batch)
            self.written += len(batch)
            await trio.sleep(PAUSE)

    def _next(self) -> list[Message]:
        """Return what no pod writes, and what pods wrote: again, elsewhere, a bit flipped."""
        draw = self._draw
        channel = draw.choice(self._channels)
        batch = [(channel, draw.randbytes(draw.randrange(1, 40))), (channel, b"[" * 200)]
        if not self._forges:
            return batch
        for place, payload in islice(draw.sample(self._heard, len(self._heard)), 2):
            at = draw.randrange(len(payload))
            flipped = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
            batch += [(place, payload), (draw.choice(self._channels), payload), (place, flipped)]
        return batch

    # An inbox of the broker.

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Remember what somebody else has said."""
        if payload and payload not in self._said:
            self._heard.append((channel, payload))

    def full(self, resume: Callable[[], object]) -> bool:
        """Have room for everything: what is old is forgotten."""
        del resume
        return False

    def lost(self, error: BrokerError) -> None:
        """Let the next publication tell."""

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Do without."""


def make_link(section: Mapping[str, object]) -> Bridged:
    """Make the link that a pod with this section of settings has."""
    kind = str(section["type"])
    own = section[kind]
    if kind == "nats":
        return Bridged(NatsDriver(cattrs.structure(own, Nats)))
    if kind == "redis":
        return Bridged(redis_driver(cattrs.structure(own, Redis)))
    return Bridged(RabbitDriver(cattrs.structure(own, RabbitMQ), PATIENCE))
