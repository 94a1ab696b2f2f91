"""The part of a pod's tree that leads to the other pods: the link, and who tells of its outages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ...actors import (
    ActorCell,
    DeadLetters,
    Degraded,
    EventIds,
    Healed,
    LinkActor,
    Member,
    Notices,
    RoomRef,
    Rooms,
    Roster,
    Uplink,
    hand_over,
    own_up,
)
from ...actors.cluster import DEGRADED, HEALED
from ...config import Config
from ...transport import Event
from ...transport.brokers.contract import Broker
from ..backoff import Backoff
from ..child import ChildSpec, Service
from ..supervisor import Supervisor

__all__ = ["BrokerTree"]

SHUTDOWN: Final = 4.0
"""Seconds for the link to hand over what was said last, and to close."""

FIRST_WAIT: Final = 0.05
STEADY: Final = 30.0


class BrokerTree:
    """Builds what a pod with a broker has in addition; it is also who the uplink reports to."""

    def __init__(
        self,
        config: Config,
        pod_id: str,
        make_broker: Callable[[], Broker],
        members: Mapping[str, Member],
        event_ids: EventIds,
        wall: Callable[[], float],
    ) -> None:
        self._settings = config.broker
        self._make_broker = make_broker
        self._joined = config.performance.batch_message_processing
        self.uplink = Uplink(
            pod_id,
            config.broker,
            config.message_ttl,
            self,
            wall,
            largest=config.limits.max_buffer_bytes,
        )
        self._notices = Notices(members, event_ids, wall, config.broker.notice_window)
        self._rooms: Rooms | None = None
        self._everyone: tuple[RoomRef, Roster[Any]] | None = None

    def join(self, rooms: Rooms, everyone: RoomRef, roster: Roster[Any]) -> None:
        """Learn who is told: the rooms, and the room of all connections."""
        self._rooms = rooms
        self._everyone = everyone, roster

    def children(self, dead_letters: DeadLetters) -> list[ChildSpec]:
        """Return the specification of the broker's supervisor."""
        cap = max(FIRST_WAIT, self._settings.max_backoff)
        backoff = Backoff(base=FIRST_WAIT, cap=cap, reset_after=STEADY)

        def link(path: str) -> ActorCell[Any]:
            return ActorCell(
                path,
                self._link,
                mailbox=self.uplink.outbox,
                dead_letters=dead_letters,
                on_terminated=lambda _: self.uplink.ended(),
            )

        # No bug of a link may take the pod's own clients down with it.
        children = [
            ChildSpec("link", link, backoff=backoff, shutdown=SHUTDOWN, tireless=True),
            ChildSpec("notices", lambda path: Service(path, self._notices.run), tireless=True),
        ]
        return [ChildSpec("broker", lambda path: Supervisor(path, children), shutdown=2 * SHUTDOWN)]

    def _link(self) -> LinkActor:
        return LinkActor(self.uplink, self._make_broker, self._settings, joined=self._joined)

    # Listeners: who the uplink reports to ------------------------------------------------------

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        """Hand another pod's events to a room of this one."""
        if room is None:
            return hand_over(*self._everyone, events, nbytes) if self._everyone else 0
        return self._rooms.deliver(room, events, nbytes) if self._rooms else 0

    def missed(self, room: str | None, count: int) -> None:
        """Tell a room that so many events of other pods were not let in."""
        if room is None and self._everyone:
            own_up(*self._everyone, count)
        elif room is not None and self._rooms is not None:
            self._rooms.missed(room, count)

    def degraded(self, outage: Degraded) -> None:
        """Tell the rooms' hooks and the clients."""
        if self._rooms is not None:
            self._rooms.tell_all(outage)
        self._notices.tell(DEGRADED, outage.to_json(), outage.to_json(root=True))

    def healed(self, healed: Healed) -> None:
        """Tell the rooms' hooks and the clients."""
        if self._rooms is not None:
            self._rooms.tell_all(healed)
        self._notices.tell(HEALED, healed.to_json())
