"""What a pod's rooms, its hub and its sessions know of the other pods.

All of it is synchronous, but two things: who comes into a room first may wait until it is heard,
and who asks the other pods for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...config import get_logger
from ...transport import Event, Problem, Scope
from ...transport.brokers import DEEPEST, RoomAnswer, RoomQuery, may_be_said, too_deep
from ...transport.brokers.contract import room_channel
from ...transport.protocols import Degraded
from ..runtime import Delivery, Mailbox
from .acknowledgements import Acknowledgements
from .gaps import Gaps
from .hearing import Tell
from .inquiries import Inquiries
from .proofs import Proofs
from .publication import Settle
from .sequences import Sequences
from .state import LinkState
from .subscriptions import Subscriptions

__all__ = ["Uplink"]

_log = get_logger("realtime")


class Uplink:
    """The way to the other pods: say something to them, hear what they say.

    `clock` is steady seconds. `None` for a room is always everyone.
    """

    def __init__(
        self,
        state: LinkState,
        subscriptions: Subscriptions,
        sequences: Sequences,
        proofs: Proofs,
        gaps: Gaps,
        acknowledgements: Acknowledgements,
        inquiries: Inquiries,
        outbox: Mailbox[Any],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._subscriptions = subscriptions
        self._sequences = sequences
        self._proofs = proofs
        self._gaps = gaps
        self._acknowledgements = acknowledgements
        self._inquiries = inquiries
        self._outbox = outbox
        self._clock = clock

    def publish(self, event: Event, settle: Settle | None = None) -> Scope | None:
        """Say something to the other pods' rooms of that name, under a number of the link's own.

        Returns how far it has got, or None while the link has it: `settle` is then called with
        the outcome, otherwise never.
        """
        state = self._state
        publication = state.number(event, settle, self._clock())
        if not may_be_said(event.room, event.name) or too_deep(event.encoded):
            self._note_unspeakable(event.room, event.name)
            return Scope.LOCAL
        scope = state.admit(publication)
        if scope is not None:
            return scope
        if self._outbox.put_nowait(publication, publication.nbytes, keyed=False) is (
            Delivery.ACCEPTED
        ):
            return None
        return state.overflowed()

    def publish_counted(self, event: Event, tell: Tell) -> Scope | None:
        """Do so in a room whose receipts say who has heard, and have that told too."""
        waiting, taken = self._acknowledgements.waiting(tell)
        scope = self.publish(event, taken)
        if scope is None and event.room is not None:
            number = self._state.numbering.last(event.room)
            self._acknowledgements.begin(waiting, event.room, number)
        return scope

    def refusal(self, room: str | None, nbytes: int) -> Problem | None:
        """Say why an emit must not be accepted at all, or None: asked before anybody hears it."""
        return self._state.refusal(room, nbytes)

    def outlook(self, room: str | None) -> Scope:
        """Return how far an emit will have got at first, before the broker has confirmed it."""
        return self._state.outlook(room)

    @property
    def degraded(self) -> Degraded | None:
        """The outage that goes on, if there is one: what a client that comes now is told."""
        return self._state.degraded

    @property
    def pod_id(self) -> str:
        """What this pod is called in what it says."""
        return self._state.pod_id

    def counts(self, pod: str) -> bool:
        """Whether another pod of this id is taken to be there."""
        peer = self._state.peers.known.get(pod)
        return peer is not None and peer.counted

    def enter(self, room: str | None) -> None:
        """Hear a room: its first member has come."""
        channel = room_channel(room)
        if not self._subscriptions.wants(channel):
            # What was said since its last member left is not missed.
            self._sequences.forget(room)
        self._subscriptions.want(channel, room)
        if self._subscriptions.hears(channel):  # it lingers: nobody has to wait, but is it true?
            self._sequences.entered(room, self._clock())
            self._proofs.watch(channel, self._clock())

    def leave(self, room: str | None) -> None:
        """Hear a room no longer, after a while: its last member has gone."""
        if room is not None:
            self._acknowledgements.left(room)
        channel = room_channel(room)
        self._subscriptions.unwant(channel, self._clock())
        self._proofs.forget([channel])
        self._sequences.forget(room)
        self._gaps.forget(room)

    def told(self, room: str, events: Sequence[Event], members: int) -> None:
        """Have other pods told that their events were told here, to so many members."""
        self._acknowledgements.told(room, events, members)

    def lets_in(self, room: str) -> None:
        """Tell who has to know that somebody comes into a room that was entered."""
        self._acknowledgements.enters(room)

    async def noted(self, room: str) -> None:
        """Return when they know it, or cannot rely on having been told: within seconds."""
        await self._acknowledgements.until_noted(room)

    def let_in(self, room: str) -> None:
        """Note that who came is in, or is not coming any more."""
        self._acknowledgements.entered(room)

    async def heard(self, room: str) -> None:
        """Return when a room that was entered is heard, or cannot be for now."""
        if self._state.breaker.closed:
            await self._subscriptions.until_heard(room_channel(room))

    @property
    def others(self) -> int:
        """How many other pods are known: heard, missing, or spoken of by those that are heard."""
        peers = self._state.peers
        return len(peers.known) + len(peers.rumoured)

    async def ask_rooms(self, query: RoomQuery, timeout: float) -> Sequence[RoomAnswer]:
        """Return which rooms the other pods list: those that answer within `timeout` seconds."""
        if not self._state.breaker.closed:
            return []
        return await self._inquiries.ask(query, timeout)

    def _note_unspeakable(self, room: str | None, event: str) -> None:
        so_far = self._state.unspeakable()
        if so_far.bit_count() == 1:  # the first, and each time the number doubles
            _log.warning(
                "an event stays on this pod: no other takes its name, its room's, or its depth",
                room=None if room is None else ascii(room[:100]),
                event_name=ascii(event[:100]),
                so_far=so_far,
                remedy="name it with letters, digits and _-.:/@#+~=; system:… stays on its pod; "
                f"nest data {DEEPEST} levels deep at most",
            )
