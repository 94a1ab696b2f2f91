"""What a link consists of, over all its incarnations: one for each pod with a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import trio
from attrs import frozen

from ...config import Broker as BrokerSettings
from ...config import Limits, get_logger
from ...transport.brokers import Signer
from ...transport.brokers.contract import Channel
from ..runtime import Delivery, Mailbox, Overflow
from .acknowledgements import Acknowledgements
from .deduplicator import Deduplicator
from .figures import LinkFigures
from .gaps import Gaps
from .handoff import Handoff, hints_of
from .hearing import PATIENCE
from .inquiries import Inquiries
from .names import PodName
from .patience import RoundTrips
from .proofs import Proofs
from .publication import Publication
from .sequences import Sequences
from .state import LinkState
from .subscriptions import Subscriptions
from .uplink import Uplink

__all__ = ["About", "Link"]

DEFAULT_LARGEST: Final = Limits().max_buffer_bytes
DEFAULT_EMIT_TIMEOUT: Final = Limits().emit_timeout

_log = get_logger("realtime")


@frozen
class About:
    """What a pod says of itself in its beats; `load` is the share of a processor, 0 to 1."""

    version: str = ""
    connections: int = 0
    rooms: int = 0
    load: float = 0.0


@frozen(eq=False)
class Link:
    """The parts that outlive each connection; `uplink` is all that rooms, hub and sessions know.

    `epoch` is when this pod began to number its events (unix ms). `outbox` is the actor's mailbox.
    `seal` is there when there is a secret. `largest` are the bytes of one event that a client's
    buffer takes, `wall` is unix seconds, `clock` steady seconds.
    """

    pod_id: str
    epoch: int
    name: PodName
    settings: BrokerSettings
    state: LinkState
    subscriptions: Subscriptions
    deduplicator: Deduplicator
    sequences: Sequences
    proofs: Proofs
    gaps: Gaps
    round_trips: RoundTrips
    acknowledgements: Acknowledgements
    inquiries: Inquiries
    outbox: Mailbox[Any]
    seal: Signer | None
    figures: LinkFigures
    uplink: Uplink
    largest: int
    wall: Callable[[], float]
    clock: Callable[[], float]
    about: Callable[[], About]
    message_ttl: float
    handoff: Handoff | None

    @classmethod
    def of(
        cls,
        pod_id: str,
        settings: BrokerSettings,
        message_ttl: float,
        wall: Callable[[], float],
        clock: Callable[[], float] = trio.current_time,
        largest: int = DEFAULT_LARGEST,
        about: Callable[[], About] = About,
        handoff: Handoff | None = None,
        name: str = "",
        emit_timeout: float = DEFAULT_EMIT_TIMEOUT,
    ) -> Link:
        """Make the link of a pod; `message_ttl` is how long (seconds) an event may wait.

        `name` is what the pod is to be called, where no other has the name. Who emits is told
        within `emit_timeout` (seconds) who has heard.
        """
        epoch = int(wall() * 1000)
        pod_name = PodName(name, epoch, pod_id)
        state = LinkState(pod_id, settings, message_ttl, largest, clock(), wall())
        subscriptions, deduplicator = Subscriptions(settings.linger), Deduplicator(pod_id)
        round_trips = RoundTrips()
        sequences = Sequences(lambda: round_trips.usual)
        proofs, gaps = Proofs(pod_id), Gaps()
        acknowledgements = Acknowledgements(
            pod_id,
            settings,
            state.peers,
            subscriptions,
            clock,
            min(PATIENCE, emit_timeout / 2),
        )
        inquiries = Inquiries(pod_id, state.peers, clock)
        seal = Signer.of(settings, pod_id, epoch, wall)
        outbox: Mailbox[Any] = Mailbox(
            max_messages=settings.outbox_messages,
            max_bytes=settings.outbox_bytes,
            overflow=Overflow.FAIL,
        )
        return cls(
            pod_id=pod_id,
            epoch=epoch,
            name=pod_name,
            settings=settings,
            state=state,
            subscriptions=subscriptions,
            deduplicator=deduplicator,
            sequences=sequences,
            proofs=proofs,
            gaps=gaps,
            round_trips=round_trips,
            acknowledgements=acknowledgements,
            inquiries=inquiries,
            outbox=outbox,
            seal=seal,
            figures=LinkFigures(
                settings.type,
                pod_name,
                state,
                subscriptions,
                deduplicator,
                sequences,
                outbox,
                clock,
                signed=seal is not None,
            ),
            uplink=Uplink(
                state,
                subscriptions,
                sequences,
                proofs,
                gaps,
                acknowledgements,
                inquiries,
                outbox,
                clock,
            ),
            largest=largest,
            wall=wall,
            clock=clock,
            about=about,
            message_ttl=message_ttl,
            handoff=handoff,
        )

    def heard(self, channels: Iterable[Channel]) -> None:
        """Note channels that are proven to be heard: what is said there now is owed to this pod."""
        now, wanted = self.clock(), self.subscriptions.wanted
        for channel in channels:
            if channel in wanted:
                self.sequences.entered(wanted[channel], now)
        self.subscriptions.proven(channels)

    def stand_in_line(self, message: object) -> bool:
        """Put what is no event behind all events that wait to be said; False when it is full."""
        return self.outbox.put_nowait(message, keyed=False) is Delivery.ACCEPTED

    def take_outbox(self) -> list[Publication]:
        """Take out all that waits to be said."""
        waiting = []
        while self.outbox:
            item = self.outbox.pop()
            if isinstance(item, Publication):
                waiting.append(item)
        return waiting

    def ended(self) -> list[str]:
        """Keep what waits for the next start; return the ids of what cannot be, and is lost.

        Nothing waits from now on: what is said is for this pod alone.
        """
        left = self.state.ended()
        if not left:
            return []
        kept = self.handoff is not None and self.handoff.keep(
            hints_of(self.pod_id, self.epoch, left)
        )
        if not kept:
            self.state.lost(len(left))
        _log.warning("stopped before these could be sent", events=len(left), kept=kept)
        return [] if kept else [one.event.id for one in left]
