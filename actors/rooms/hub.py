"""What application code calls to say something to clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import orjson
import trio

from ...config import Limits
from ...transport import JSON, Event, Outcome, Problem, Scope, encode_data
from ...transport.brokers import RoomQuery
from ..cluster import Uplink
from ..runtime import Affinity, Delivery
from .awaited import TOO_BUSY, Awaited, known
from .bounds import excess
from .directory import ASKING, RoomDirectory, RoomListing
from .headcount import publish_elsewhere
from .member import Member
from .receipt import SEND_TIMEOUT, Receipt
from .rooms import RoomRef, Rooms
from .roster import EventIds, ServerEmit
from .thread_hub import ThreadHub

__all__ = ["ChangeType", "Hub"]

ChangeType = Literal["created", "updated", "deleted", "revised", "missed"]
"""What became of a document. `revised` is an update with what was there before it, for a room that
knows who could see that; `missed` stands for a change that is too much for a room."""

_WORST_FIRST: Final = (
    Scope.REJECTED,
    Scope.LOCAL,
    Scope.QUEUED,
    Scope.PARTIAL,
    Scope.CLUSTER,
)


class _Saying(NamedTuple):
    """Something to say, in its room here where that runs, and on the other pods.

    What has happened already, as a change that is committed, is not `refusable`.
    """

    event: Event
    ref: RoomRef | None
    refusable: bool = True


class Hub:
    """Emits of the pod's own code. No access rule applies: this is the server speaking.

    Calls that begin with `emit_` are synchronous and for code on trio's thread; other threads use
    `from_thread`. Data is frozen at the call: changing it afterwards changes nothing. Each returns
    a `Receipt` at once: `rejected` when nobody was told, `local` when only this pod will be, and
    `queued` when the broker has not confirmed it yet. Calls that begin with `send_` wait, at most
    `timeout` seconds, for rooms that are busy and for the broker: theirs says how it ended.

    Raises `WireError` when the data is not JSON, and `WrongThread` in another thread.
    """

    def __init__(
        self,
        rooms: Rooms,
        everyone: RoomRef,
        event_ids: EventIds,
        uplink: Uplink | None = None,
        connected: Mapping[str, Member] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._largest = (limits or Limits()).max_buffer_bytes
        self._rooms = rooms
        self._everyone = everyone
        self._connected = connected if connected is not None else {}
        self._event_ids = event_ids
        self._wall = rooms.wall
        self._uplink = uplink
        self._directory = RoomDirectory(rooms.rosters, uplink)
        self._affinity = Affinity()

    def emit_to_all(self, event: str, data: JSON) -> Receipt:
        """Tell every connected client, of every pod."""
        self._affinity.check("Hub.emit_to_all")
        return self._emit(_Saying(self._event(None, event, encode_data(data)), self._everyone))

    def emit_to_room(self, room: str, event: str, data: JSON) -> Receipt:
        """Tell the members of a room; a bound room that does not run yet is started for it."""
        return self._emit(self._to_room(room, event, data))

    def emit_collection_change(self, collection: str, event: ChangeType, document: JSON) -> Receipt:
        """Tell `collection:<name>` and `collections` that a document changed, and nobody else.

        The receipt is the worse of the two.
        """
        changes = self._listeners(collection, event, document)
        return _worst([self._emit(change) for change in changes])

    async def send_to_all(self, event: str, data: JSON, timeout: float = SEND_TIMEOUT) -> Receipt:
        """Tell every connected client, and wait for what becomes of it."""
        self._affinity.check("Hub.send_to_all")
        emit = _Saying(self._event(None, event, encode_data(data)), self._everyone)
        return await self._send(emit, timeout)

    async def send_to_room(
        self, room: str, event: str, data: JSON, timeout: float = SEND_TIMEOUT
    ) -> Receipt:
        """Tell the members of a room, and wait for what becomes of it."""
        return await self._send(self._to_room(room, event, data), timeout)

    async def send_collection_change(
        self, collection: str, event: ChangeType, document: JSON, timeout: float, brief: JSON
    ) -> Receipt:
        """Tell that a document changed, and wait for rooms that are busy, `timeout` each at most.

        It does not wait for the broker: the change is committed, and is told in this order. A room
        that does not take it is told that it has `missed` the change of what `brief` says.
        """
        receipts = []
        for change in self._listeners(collection, event, document):
            if change.ref is None:
                receipts.append(self._emit(change))
                continue
            delivery = Delivery.DROPPED
            with trio.move_on_after(timeout):
                delivery = await change.ref.send(ServerEmit(change.event))
            if delivery is Delivery.DROPPED:
                await self._tell_missed(collection, brief, change.ref, timeout)
            receipts.append(self._receipt(change, delivery))
        return _worst(receipts)

    async def _tell_missed(
        self, collection: str, brief: JSON, room: RoomRef, timeout: float
    ) -> None:
        for missed in self._listeners(collection, "missed", brief):
            if missed.ref is room:
                with trio.move_on_after(timeout):
                    await room.send(ServerEmit(missed.event))

    def room(self, name: str) -> RoomRef:
        """Return a room's address, started if need be: to `ask` it something."""
        self._affinity.check("Hub.room")
        return self._rooms.open(name)

    def rooms_here(
        self, pattern: str = "*", where: Mapping[str, JSON] | None = None, after: str = ""
    ) -> RoomListing:
        """List the rooms of this pod whose classes are `listed`, by name, from `after` on.

        Each key of `where` has to have that value in what the room says of itself (`describe`).
        """
        self._affinity.check("Hub.rooms_here")
        return self._directory.here(RoomQuery.of(pattern, where, after))

    async def rooms(
        self,
        pattern: str = "*",
        where: Mapping[str, JSON] | None = None,
        after: str = "",
        timeout: float = ASKING,
    ) -> RoomListing:
        """Likewise of all pods that answer within `timeout` seconds; it says how many have."""
        self._affinity.check("Hub.rooms")
        return await self._directory.everywhere(RoomQuery.of(pattern, where, after), timeout)

    @property
    def from_thread(self) -> ThreadHub:
        """The same calls for other threads. Take it on trio's thread, hand it to the thread."""
        self._affinity.check("Hub.from_thread")
        return ThreadHub(self, trio.lowlevel.current_trio_token())

    def _listeners(self, collection: str, event: ChangeType, document: JSON) -> Iterator[_Saying]:
        """Find the two rooms of a change, where somebody is in them, and what each is told."""
        self._affinity.check("Hub.emit_collection_change")
        encoded = encode_data(document)
        room = f"collection:{collection}"
        yield _Saying(self._event(room, event, encoded), self._rooms.find(room), refusable=False)
        envelope = {"collection": collection, "type": event, "data": orjson.Fragment(encoded)}
        ref = self._rooms.find("collections")
        told = self._event("collections", event, encode_data(envelope))
        yield _Saying(told, ref, refusable=False)

    def _to_room(self, room: str, event: str, data: JSON) -> _Saying:
        self._affinity.check("Hub.emit_to_room")
        ref = self._rooms.find(room)
        if ref is None and self._rooms.is_bound(room):
            ref = self._rooms.open(room)
        return _Saying(self._event(room, event, encode_data(data)), ref)

    def _event(self, room: str | None, name: str, encoded: bytes) -> Event:
        said = (room, name, encoded, self._event_ids(), 0, self._wall(), "", 0, 0)
        return tuple.__new__(Event, said)  # past the generated constructor: see Speech

    def _emit(self, emit: _Saying, answer: Awaited | None = None) -> Receipt:
        """Leave it with the room, or with the other pods' where nobody is in it here."""
        refusal = self._refusal(emit)
        if refusal is not None:
            return Receipt(emit.event.id, Scope.REJECTED, refusal)
        if emit.ref is None:
            return self._publish(emit.event, answer)
        return self._receipt(emit, emit.ref.tell(ServerEmit(emit.event, answer)))

    def _publish(self, event: Event, answer: Awaited | None) -> Receipt:
        outcome: Outcome | None = Scope.LOCAL
        if answer is not None:
            answer.begin()
        if self._uplink is not None and answer is None:
            outcome = self._uplink.publish(event)
        elif self._uplink is not None and answer is not None:
            counted = event.room is not None and self._rooms.counts(event.room)
            outcome = publish_elsewhere(self._uplink, event, answer.settle, counted=counted)
        if outcome is None:
            return Receipt(event.id, Scope.QUEUED)
        if answer is not None:
            answer.settle(outcome)
        return known(event.id, outcome)

    async def _send(self, emit: _Saying, timeout: float) -> Receipt:
        answer = Awaited()
        # Who waits for room in a mailbox in vain leaves nothing behind.
        receipt = Receipt("", Scope.REJECTED, TOO_BUSY)
        with trio.move_on_after(timeout):
            receipt = await self._leave(emit, answer)
            if receipt.scope is not Scope.REJECTED:
                await answer.given.wait()
        return answer.applied_to(receipt)

    async def _leave(self, emit: _Saying, answer: Awaited) -> Receipt:
        if emit.ref is None or self._refusal(emit) is not None:
            return self._emit(emit, answer)
        return self._receipt(emit, await emit.ref.send(ServerEmit(emit.event, answer)))

    def _refusal(self, emit: _Saying) -> Problem | None:
        """Say why nobody is to be told, or nobody would hear it; None when there is no reason."""
        (room, name, encoded, *_), _, refusable = emit
        if not refusable:
            return None
        problem = excess(self._largest, room, name, encoded)
        if problem is None and self._uplink is not None:
            problem = self._uplink.refusal(room, len(encoded))
        if problem is not None:
            return problem
        if self._heard_here(room) or self._outlook(room) is not Scope.LOCAL:
            return None
        where = "Nobody is connected" if room is None else f"Nobody is in the room '{room}'"
        return Problem("unheard", f"{where} here, and no other pod can be told.")

    def _heard_here(self, room: str | None) -> bool:
        if room is None:
            return bool(self._connected)
        roster = self._rooms.roster(room)
        return roster is not None and (roster.listens or roster.present > 0)

    def _outlook(self, room: str | None) -> Scope:
        return Scope.LOCAL if self._uplink is None else self._uplink.outlook(room)

    def _excess(self, event: Event) -> Problem | None:
        return excess(self._largest, event.room, event.name, event.encoded)

    def _receipt(self, emit: _Saying, delivery: Delivery) -> Receipt:
        event_id = emit.event.id
        if delivery:
            problem = None if emit.refusable else self._excess(emit.event)  # the room owns up to it
            if problem is not None:
                return Receipt(event_id, Scope.REJECTED, problem)
            return Receipt(event_id, self._outlook(emit.event.room))
        path = emit.ref.path if emit.ref else emit.event.room
        problem = Problem("room_closed", f"{path} has ended; try again.")
        if delivery is Delivery.DROPPED:
            sentence = f"The mailbox of {path} is full; emit more slowly."
            problem = Problem("room_busy", sentence)
        return Receipt(event_id, Scope.REJECTED, problem)


def _worst(receipts: Sequence[Receipt]) -> Receipt:
    return min(receipts, key=lambda receipt: _WORST_FIRST.index(receipt.scope))
