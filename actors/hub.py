"""What application code calls to say something to clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import orjson
import trio

from ..transport import JSON, Scope, encode_data
from .messages import Delivery
from .receipt import Receipt
from .rooms import RoomRef, Rooms
from .roster import EventIds, ServerEmit

__all__ = ["ChangeType", "Hub", "ThreadHub"]

ChangeType = Literal["created", "updated", "deleted"]


class Hub:
    """Emits of the pod's own code. No access rule applies: this is the server speaking.

    The calls are synchronous and for code on trio's thread; other threads use `from_thread`.
    Data is frozen at the call: changing it afterwards changes nothing. Each returns a `Receipt`:
    `local` when this pod's room took it, `rejected` when the room's mailbox is full.
    Raises `WireError` when the data is not JSON.
    """

    def __init__(self, rooms: Rooms, everyone: RoomRef, event_ids: EventIds) -> None:
        self._rooms = rooms
        self._everyone = everyone
        self._event_ids = event_ids

    def emit_to_all(self, event: str, data: JSON) -> Receipt:
        """Tell every connected client."""
        return self._tell(self._everyone, event, encode_data(data))

    def emit_to_room(self, room: str, event: str, data: JSON) -> Receipt:
        """Tell the members of a room; a bound room that does not run yet is started for it."""
        return self._emit(room, event, encode_data(data))

    def emit_collection_change(self, collection: str, event: ChangeType, document: JSON) -> Receipt:
        """Tell `collection:<name>` and `collections` that a document changed, and nobody else.

        The receipt is the worse of the two.
        """
        receipts = [
            self._tell(ref, event, encoded) if ref else Receipt(self._event_ids(), Scope.LOCAL)
            for ref, encoded in self._listeners(collection, event, document)
        ]
        return _worst(receipts)

    async def send_collection_change(
        self, collection: str, event: ChangeType, document: JSON, timeout: float
    ) -> Receipt:
        """Do the same, but wait for rooms that are busy, `timeout` seconds each at most."""
        receipts = []
        for ref, encoded in self._listeners(collection, event, document):
            if ref is None:
                receipts.append(Receipt(self._event_ids(), Scope.LOCAL))
                continue
            message = ServerEmit(event, encoded, self._event_ids())
            delivery = Delivery.DROPPED
            with trio.move_on_after(timeout):
                delivery = await ref.send(message)
            receipts.append(_receipt(ref, message.event_id, delivery))
        return _worst(receipts)

    def room(self, name: str) -> RoomRef:
        """Return a room's address, started if need be: to `ask` it something."""
        return self._rooms.open(name)

    @property
    def from_thread(self) -> ThreadHub:
        """The same calls for other threads. Take it on trio's thread, hand it to the thread."""
        return ThreadHub(self, trio.lowlevel.current_trio_token())

    def _listeners(
        self, collection: str, event: ChangeType, document: JSON
    ) -> Iterator[tuple[RoomRef | None, bytes]]:
        """Find the two rooms of a change, where somebody is in them, and what each is told."""
        encoded = encode_data(document)
        yield self._rooms.find(f"collection:{collection}"), encoded
        envelope = {"collection": collection, "type": event, "data": orjson.Fragment(encoded)}
        yield self._rooms.find("collections"), encode_data(envelope)

    def _emit(self, room: str, event: str, encoded: bytes) -> Receipt:
        ref = self._rooms.find(room)
        if ref is None:
            if not self._rooms.is_bound(room):
                return Receipt(self._event_ids(), Scope.LOCAL)  # nobody is in it
            ref = self._rooms.open(room)
        return self._tell(ref, event, encoded)

    def _tell(self, ref: RoomRef, event: str, encoded: bytes) -> Receipt:
        event_id = self._event_ids()
        return _receipt(ref, event_id, ref.tell(ServerEmit(event, encoded, event_id)))


def _receipt(ref: RoomRef, event_id: str, delivery: Delivery) -> Receipt:
    if delivery:
        return Receipt(event_id, Scope.LOCAL)
    reason = f"{ref.path} has ended"
    if delivery is Delivery.DROPPED:
        reason = f"the mailbox of {ref.path} is full; emit more slowly"
    return Receipt(event_id, Scope.REJECTED, reason)


def _worst(receipts: Sequence[Receipt]) -> Receipt:
    return next((r for r in receipts if r.scope is Scope.REJECTED), receipts[0])


class ThreadHub:
    """The hub's emits for code on other threads; each call waits for trio's thread to take it.

    Raises `trio.RunFinishedError` when the pod is gone, and what the hub raises.
    """

    def __init__(self, hub: Hub, token: trio.lowlevel.TrioToken) -> None:
        self._hub = hub
        self._token = token

    def emit_to_all(self, event: str, data: JSON) -> Receipt:
        """Tell every connected client."""
        return trio.from_thread.run_sync(self._hub.emit_to_all, event, data, trio_token=self._token)

    def emit_to_room(self, room: str, event: str, data: JSON) -> Receipt:
        """Tell the members of a room."""
        return trio.from_thread.run_sync(
            self._hub.emit_to_room, room, event, data, trio_token=self._token
        )

    def emit_collection_change(self, collection: str, event: ChangeType, document: JSON) -> Receipt:
        """Tell those who listen to a collection that a document changed."""
        return trio.from_thread.run_sync(
            self._hub.emit_collection_change, collection, event, document, trio_token=self._token
        )
