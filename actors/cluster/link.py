"""What a link consists of, over all its incarnations: one for each pod with a broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import frozen

from ...config import Broker as BrokerSettings
from ...config import Limits, get_logger
from ...transport.brokers import Signer
from ..runtime import Mailbox, Overflow
from .deduplicator import Deduplicator
from .figures import LinkFigures
from .publication import Publication
from .state import LinkState
from .subscriptions import Subscriptions
from .uplink import Uplink

__all__ = ["Link"]

DEFAULT_LARGEST: Final = Limits().max_buffer_bytes

_log = get_logger("realtime")


@frozen(eq=False)
class Link:
    """The parts that outlive each connection; `uplink` is all that rooms, hub and sessions know.

    `epoch` is when this pod began to number its events (unix ms). `outbox` is the actor's mailbox.
    `seal` is there when there is a secret. `largest` are the bytes of one event that a client's
    buffer takes, `wall` is unix seconds, `clock` steady seconds.
    """

    pod_id: str
    epoch: int
    settings: BrokerSettings
    state: LinkState
    subscriptions: Subscriptions
    deduplicator: Deduplicator
    outbox: Mailbox[Any]
    seal: Signer | None
    figures: LinkFigures
    uplink: Uplink
    largest: int
    wall: Callable[[], float]
    clock: Callable[[], float]

    @classmethod
    def of(
        cls,
        pod_id: str,
        settings: BrokerSettings,
        message_ttl: float,
        wall: Callable[[], float],
        clock: Callable[[], float] = trio.current_time,
        largest: int = DEFAULT_LARGEST,
    ) -> Link:
        """Make the link of a pod; `message_ttl` is how long (seconds) an event may wait."""
        epoch = int(wall() * 1000)
        state = LinkState(pod_id, settings, message_ttl, largest, clock(), wall())
        subscriptions, deduplicator = Subscriptions(settings.linger), Deduplicator(pod_id)
        seal = Signer.of(settings, pod_id, epoch, wall)
        outbox: Mailbox[Any] = Mailbox(
            max_messages=settings.outbox_messages,
            max_bytes=settings.outbox_bytes,
            overflow=Overflow.FAIL,
        )
        return cls(
            pod_id=pod_id,
            epoch=epoch,
            settings=settings,
            state=state,
            subscriptions=subscriptions,
            deduplicator=deduplicator,
            outbox=outbox,
            seal=seal,
            figures=LinkFigures(
                settings.type,
                state,
                subscriptions,
                deduplicator,
                outbox,
                clock,
                signed=seal is not None,
            ),
            uplink=Uplink(state, subscriptions, deduplicator, outbox, clock),
            largest=largest,
            wall=wall,
            clock=clock,
        )

    def take_outbox(self) -> list[Publication]:
        """Take out all that waits to be said."""
        waiting = []
        while self.outbox:
            item = self.outbox.pop()
            if isinstance(item, Publication):
                waiting.append(item)
        return waiting

    def ended(self) -> None:
        """Count what waits as lost, for there will be no other connection."""
        left = self.state.ended()
        if left:
            _log.warning("stopped before these could be sent", events=left)
