"""What the contract's checks listen with."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeAlias

import trio

from ...errors import BrokerError
from .broker import Broker, Channel, Message
from .channels import room_channel

__all__ = [
    "QUIET",
    "TIMEOUT",
    "ContractBroken",
    "Make",
    "RecordingInbox",
    "connected",
    "expect",
    "fresh",
    "joined",
    "spread",
    "two",
]

TIMEOUT: Final = 10.0
"""Seconds for what must happen; a busy machine needs a few."""

QUIET: Final = 0.05
"""Seconds in which what must not happen would have."""

SPREAD: Final = 2.0
"""Seconds in which the servers of a broker have told each other of a subscription."""

_PROBE: Final = b"is this heard here? " + uuid.uuid4().bytes
"""What is published again and again until it is heard, and remembered by no inbox."""

Make: TypeAlias = Callable[[], Broker]
"""Makes a new broker object of one deployment, each time."""


class ContractBroken(AssertionError):
    """A broker does not do what `Broker` promises; the sentence says which promise."""


def expect(condition: bool, sentence: str) -> None:
    """Raise `ContractBroken` unless it is so."""
    if not condition:
        raise ContractBroken(sentence)


class RecordingInbox:
    """An inbox that remembers."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.losses: list[BrokerError] = []
        self.silent: list[Channel] = []
        self.proven: set[Channel] = set()
        self.holding = False
        self._resume: Callable[[], object] | None = None
        self._changed = trio.Event()

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Remember a message, of a probe only where it came."""
        if payload == _PROBE:
            self.proven.add(channel)
        else:
            self.heard.append((channel, payload))
        self._changed.set()

    def full(self, resume: Callable[[], object]) -> bool:
        """Want what comes to be kept while `holding`, and say so."""
        if self.holding:
            self._resume = resume
        return self.holding

    def let_go(self) -> None:
        """Take what was kept."""
        self.holding = False
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()

    def lost(self, error: BrokerError) -> None:
        """Remember a loss."""
        self.losses.append(error)
        self._changed.set()

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Remember what is not heard any more."""
        self.silent += channels
        self._changed.set()

    def on(self, channel: Channel) -> list[bytes]:
        """Return what was heard on a channel."""
        return [payload for heard, payload in self.heard if heard == channel]

    async def hears(self, sent: Sequence[Message]) -> None:
        """Expect these messages, each once and in order by channel, and nothing else."""
        with trio.move_on_after(TIMEOUT):
            while len(self.heard) < len(sent) and not self.losses:
                await self._changed.wait()
                self._changed = trio.Event()
        await trio.sleep(QUIET)
        expect(not self.losses, f"A healthy connection is not lost: {self.losses[:1]}")
        expect(not self.silent, f"What is subscribed stays so: {self.silent[:1]}")
        expect(
            len(self.heard) == len(sent),
            f"{len(sent)} messages were published, and {len(self.heard)} arrived.",
        )
        for channel in {channel for channel, _ in (*sent, *self.heard)}:
            published = [payload for sent_to, payload in sent if sent_to == channel]
            expect(
                self.on(channel) == published,
                f"Messages on {channel} arrive whole, once and in their order.",
            )
        self.heard.clear()

    async def hears_again(self, sent: Sequence[Message]) -> None:
        """Expect these messages, different on each channel, each once or twice and in order."""
        with trio.move_on_after(TIMEOUT):
            while len(set(self.heard)) < len(sent) and not self.losses:
                await self._changed.wait()
                self._changed = trio.Event()
        await trio.sleep(QUIET)
        expect(not self.losses, f"A healthy connection is not lost: {self.losses[:1]}")
        expect(not self.silent, f"What is subscribed again is heard all the while: {self.silent}")
        expect(
            max(Counter(self.heard).values(), default=0) <= 2,
            "What is subscribed again is heard twice at most.",
        )
        for channel in {channel for channel, _ in (*sent, *self.heard)}:
            published = [payload for sent_to, payload in sent if sent_to == channel]
            expect(
                list(dict.fromkeys(self.on(channel))) == published,
                f"Messages on {channel} are all heard, in order, while it is subscribed again.",
            )
        self.heard.clear()


@asynccontextmanager
async def connected(make: Make) -> AsyncIterator[tuple[Broker, RecordingInbox]]:
    """Yield a connected broker and its inbox, and close it."""
    broker, inbox = make(), RecordingInbox()
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(TIMEOUT):
                await broker.connect(inbox, nursery)
            yield broker, inbox
            expect(not inbox.losses, f"A healthy connection is not lost: {inbox.losses[:1]}")
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()


@asynccontextmanager
async def two(make: Make) -> AsyncIterator[tuple[Broker, Broker, RecordingInbox]]:
    """Yield a publisher, a subscriber and what it hears."""
    async with AsyncExitStack() as stack:
        publisher, _ = await stack.enter_async_context(connected(make))
        subscriber, inbox = await stack.enter_async_context(connected(make))
        with trio.fail_after(3 * TIMEOUT):
            yield publisher, subscriber, inbox


async def joined(
    publisher: Broker, subscriber: Broker, inbox: RecordingInbox, channels: Sequence[Channel]
) -> None:
    """Subscribe, and return when what the publisher says is to be heard."""
    await subscriber.subscribe(channels)
    await spread(publisher, subscriber, inbox, channels)


async def spread(
    publisher: Broker, subscriber: Broker, inbox: RecordingInbox, channels: Sequence[Channel]
) -> None:
    """Expect the publisher to be heard: at once on the same server, soon from another."""
    if publisher.node == subscriber.node:
        return
    inbox.proven.difference_update(channels)
    ends = trio.current_time() + SPREAD
    while lacking := set(channels) - inbox.proven:
        expect(
            trio.current_time() < ends,
            f"What is subscribed is heard from other servers within {SPREAD:g} s.",
        )
        await publisher.publish([(channel, _PROBE) for channel in lacking])
        await trio.sleep(QUIET)


def fresh() -> Channel:
    """Return a channel that nobody else uses."""
    return room_channel(uuid.uuid4().hex)
