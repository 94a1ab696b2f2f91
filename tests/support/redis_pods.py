"""Two pods that go on through faults, and whether what one sent the other heard or was told of."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import inf
from typing import Final

import attrs
import trio

from deployd.config.brokers import RedisSettings
from deployd.transport import BrokerError
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.redis.driver import redis_driver

from .inboxes import Heard

__all__ = ["Life", "Pod", "Talk", "talking"]

_GAP: Final = 3.0
"""Seconds before a loss is declared, in which messages may be lost."""


@attrs.define(eq=False)
class Life:
    """One incarnation of a link, from when it was subscribed."""

    broker: Bridged
    heard: Heard
    lost_at: float = inf

    def covers(self, moment: float) -> bool:
        """Whether what happened then belongs to a gap that was declared in time."""
        return moment > self.lost_at - _GAP


class Pod:
    """A link that is made again whenever it is lost; `lives` are its incarnations."""

    def __init__(self, settings: RedisSettings, channels: Sequence[str]) -> None:
        self._settings = settings
        self._channels = channels
        self.lives: list[Life] = []
        self.living: Life | None = None

    async def run(self) -> None:
        """Be supervised, for ever."""
        while True:
            async with trio.open_nursery() as nursery:
                await self._live(nursery)
                nursery.cancel_scope.cancel()
            await trio.sleep(0.1)

    async def _live(self, nursery: trio.Nursery) -> None:
        life = Life(Bridged(redis_driver(self._settings)), Heard())
        try:
            with trio.fail_after(2):
                await life.broker.connect(life.heard, nursery)
                await life.broker.subscribe(self._channels)
            self.lives.append(life)
            self.living = life
            await life.heard.until_lost(600)
            life.lost_at = trio.current_time()
        except (BrokerError, trio.TooSlowError):
            pass
        finally:
            self.living = None
            with trio.CancelScope(shield=True):
                await life.broker.close()

    async def until_well(self, lives: int = 1) -> None:
        """Return when it lives, for the so manieth time at least."""
        with trio.fail_after(60):
            while len(self.lives) < lives or self.living is None:  # noqa: ASYNC110
                await trio.sleep(0.02)


class Talk:
    """What `sender` says to `hearer`, without end, and what became of it."""

    def __init__(self, sender: Pod, hearer: Pod, channels: Sequence[str]) -> None:
        self.sender = sender
        self.hearer = hearer
        self._channels = channels
        self._next = 0
        self.taken: list[tuple[bytes, float, Life, Life | None]] = []
        self.doubtful = 0
        self._hushed = trio.Event()
        self._done = trio.Event()
        self._progress = trio.Event()

    async def run(self) -> None:
        """Publish a message on each channel every few milliseconds, until `hush`."""
        while not self._hushed.is_set():
            await self.say()
            with trio.move_on_after(0.002):
                await self._hushed.wait()
        self._done.set()

    async def until_taken(self, count: int) -> None:
        """Return when the broker has taken so many messages."""
        with trio.fail_after(60):
            while len(self.taken) < count:
                await self._progress.wait()

    async def hush(self) -> None:
        """Say no more, and return when all that a sound life should have heard had its time."""
        self._hushed.set()
        await self._done.wait()
        with trio.move_on_after(2):
            while self.missing(declared=False):  # noqa: ASYNC110
                await trio.sleep(0.02)

    async def say(self) -> None:
        """Publish a message on each channel, and note what was taken."""
        life, listening = self.sender.living, self.hearer.living
        if life is None:
            return
        batch = [(channel, b"%d" % (self._next + at)) for at, channel in enumerate(self._channels)]
        self._next += len(batch)
        try:
            with trio.fail_after(1.8):
                await life.broker.publish(batch)
        except (BrokerError, trio.TooSlowError):
            self.doubtful += len(batch)
            return
        now = trio.current_time()
        self.taken += [(payload, now, life, listening) for _, payload in batch]
        self._progress.set()
        self._progress = trio.Event()

    def missing(self, declared: bool) -> int:
        """Count messages that were taken and not heard: in lives that were lost, or in sound ones.

        A message that nobody was listening for counts neither way.
        """
        heard = self._heard()
        return sum(
            payload not in heard and (sent.covers(then) or listening.covers(then)) == declared
            for payload, then, sent, listening in self.taken
            if listening is not None
        )

    def doubled(self) -> int:
        """Count messages that were heard more than once."""
        return sum(count > 1 for count in self._heard().values())

    def _heard(self) -> Counter[bytes]:
        return Counter(payload for life in self.hearer.lives for _, payload in life.heard.messages)


@asynccontextmanager
async def talking(settings: RedisSettings, channels: Sequence[str]) -> AsyncIterator[Talk]:
    """Let two pods live, of which one talks to the other."""
    talk = Talk(Pod(settings, ["pod.sender"]), Pod(settings, channels), channels)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk.sender.run)
        nursery.start_soon(talk.hearer.run)
        await talk.sender.until_well()
        await talk.hearer.until_well()
        nursery.start_soon(talk.run)
        yield talk
        nursery.cancel_scope.cancel()
