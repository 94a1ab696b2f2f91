"""What a broker is to a pod: six methods, and what they promise.

A broker object is one incarnation of a link: it connects once, and when it is lost, closed or in
doubt it is thrown away and the supervisor makes another. It never reconnects, never resubscribes
and never retries by itself: what is hidden here could not be told to anyone.

What every broker promises, and `conformance` checks:

1. *Taken.* `publish` returns when the broker has taken every message of the batch (a confirm, a
   flush or a reply), not when bytes were written. If it raises, any of them may have been taken.
2. *Order.* Messages of one publisher on one channel arrive in the order they were published, over
   batches too, when each batch was awaited before the next.
3. *Subscribed.* When `subscribe` has returned, what is published to those channels afterwards on
   the same server (`node`) is delivered; what is published on another is from soon on, when the
   servers have told each other. When `unsubscribe` has returned, delivery ends soon.
4. *At most once.* A message is delivered once or not at all. Who cannot keep up, and whose
   connection breaks, is told: `Inbox.lost`, once. Silence is never the answer.
5. *Whole.* Payloads arrive byte for byte. One above `max_payload` is refused before it is sent.
6. *Apart.* Deployments that share a server and differ in their prefix never hear each other.
7. *Proven again.* `resubscribe` makes anew what a broker may have lost of a subscription, and ends
   nothing: what was heard before is heard all the while, though for a moment perhaps twice.
8. *Apart from the rest.* What a broker refuses for a message (`MessageTooLarge`, `MessagesRefused`)
   or a channel (`SubscriptionRefused`) is that one's trouble: the connection goes on.
9. *Abandoned.* Every call may be cancelled, and then the object is only good for `close`, which
   may be called at any time, more than once, and leaves no thread, task or descriptor behind.

Time-outs are the caller's: no call here has a deadline of its own, and any may hang for ever.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

import trio

from ....config import Broker as BrokerSettings
from ...errors import BrokerError, MessageTooLarge

__all__ = ["Broker", "Channel", "Inbox", "Message", "node_name", "refuse_too_large"]

Channel: TypeAlias = str
"""`kind.key`, made by `channels`: both of letters, digits, `_`, `=` and `-`, 200 bytes at most."""

Message: TypeAlias = tuple[Channel, bytes]

_NODE: Final = re.compile(r"[A-Za-z0-9_.:@-]{1,64}")


class Inbox(Protocol):
    """Where a broker puts what it hears. All are for trio's thread, never wait, never raise."""

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Take a message."""

    def full(self, resume: Callable[[], object]) -> bool:
        """Say whether the next message had better wait until `resume` is called: soon, and once.

        Asked after each message by brokers that can keep what comes; others lose nothing by it
        that they would not have lost.
        """

    def lost(self, error: BrokerError) -> None:
        """Learn that the connection is gone or messages were; only the first call counts."""

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Learn that these are not heard any more, though the connection is well."""


class Broker(ABC):
    """One incarnation of a connection to a broker. Its methods are for trio's thread.

    `publish`, `subscribe` and `unsubscribe` may be under way at the same time, and so may two
    `publish`. All raise `BrokerError`: `BrokerUnavailable` when the world is broken,
    `BrokerRefused` when the broker does not let us in. `publish` also raises `MessageTooLarge` and
    `MessagesRefused`, `subscribe` and `resubscribe` `SubscriptionRefused`.
    """

    max_payload: int = 1024 * 1024
    """Bytes that one message may have; known for certain when `connect` has returned."""

    endpoint: str = ""
    """Where the broker is, to show: never with a secret in it."""

    node: str = ""
    """Which server this connection is with, as that calls itself (RabbitMQ does not: its address),
    when `connect` has returned: to compare, made by `node_name`. What is subscribed on one is heard
    on it at once, elsewhere when the servers have told each other. Empty is unknown."""

    routed: bool = False
    """Whether there are other servers that learn only later what is subscribed on this one; known
    when `connect` has returned."""

    @classmethod
    def from_settings(cls, settings: BrokerSettings) -> Broker:
        """Make one from the settings, for each incarnation; `broker.options` are its own."""
        return cls()

    @abstractmethod
    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Connect, once. Tasks that the connection needs go into the nursery, cancelled by it."""

    @abstractmethod
    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels; one that is heard already is no error."""

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels again, which may be heard no more without anybody knowing."""
        await self.subscribe(channels)

    @abstractmethod
    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer; one that is not heard is no error."""

    @abstractmethod
    async def publish(self, batch: Sequence[Message]) -> None:
        """Hand over messages, in order. What was subscribed by this very object arrives too."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything, within a second, whatever state the connection is in."""

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return the channels by which a pod that owns `channel` proves that it hears itself.

        A broker of several servers returns one for each that must be proven.
        """
        return (channel,)


def refuse_too_large(batch: Sequence[Message], max_payload: int) -> None:
    """Raise `MessageTooLarge` for the first message above the limit (bytes)."""
    for channel, payload in batch:
        if len(payload) > max_payload:
            raise MessageTooLarge(channel, len(payload), max_payload)


def node_name(name: object) -> str:
    """Return what a server calls itself as `Broker.node`: what is odd or long in it is hashed.

    Anything but a text is unknown, and so is an empty one.
    """
    if not isinstance(name, str) or not name or _NODE.fullmatch(name):
        return name if isinstance(name, str) else ""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
