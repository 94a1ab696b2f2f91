"""What application code calls to say something to clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

import orjson
import trio
from attrs import evolve

from ..transport import JSON, Scope, encode_data
from .affinity import Affinity
from .links import Settle, Uplink
from .messages import Delivery
from .receipt import Receipt
from .rooms import RoomRef, Rooms
from .roster import EventIds, ServerEmit

__all__ = ["ChangeType", "Hub", "ThreadHub"]

ChangeType = Literal["created", "updated", "deleted"]


PATIENCE: Final = 5.0
"""Seconds that `send_` calls wait for, where nothing else is said."""

_WORST_FIRST: Final = (Scope.REJECTED, Scope.LOCAL, Scope.QUEUED, Scope.CLUSTER)


class _Emit(NamedTuple):
    """Something to say in a room, here where it runs, and on the other pods.

    What has happened already, as a change that is committed, is not `refusable`.
    """

    room: str | None
    ref: RoomRef | None
    event: str
    encoded: bytes
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
        self, rooms: Rooms, everyone: RoomRef, event_ids: EventIds, uplink: Uplink | None = None
    ) -> None:
        self._rooms = rooms
        self._everyone = everyone
        self._event_ids = event_ids
        self._uplink = uplink
        self._affinity = Affinity()

    def emit_to_all(self, event: str, data: JSON) -> Receipt:
        """Tell every connected client, of every pod."""
        self._affinity.check("Hub.emit_to_all")
        return self._emit(_Emit(None, self._everyone, event, encode_data(data)))

    def emit_to_room(self, room: str, event: str, data: JSON) -> Receipt:
        """Tell the members of a room; a bound room that does not run yet is started for it."""
        return self._emit(self._to_room(room, event, data))

    def emit_collection_change(self, collection: str, event: ChangeType, document: JSON) -> Receipt:
        """Tell `collection:<name>` and `collections` that a document changed, and nobody else.

        The receipt is the worse of the two.
        """
        changes = self._listeners(collection, event, document)
        return _worst([self._emit(change) for change in changes])

    async def send_to_all(self, event: str, data: JSON, timeout: float = PATIENCE) -> Receipt:
        """Tell every connected client, and wait for what becomes of it."""
        self._affinity.check("Hub.send_to_all")
        emit = _Emit(None, self._everyone, event, encode_data(data))
        return await self._send(emit, timeout)

    async def send_to_room(
        self, room: str, event: str, data: JSON, timeout: float = PATIENCE
    ) -> Receipt:
        """Tell the members of a room, and wait for what becomes of it."""
        return await self._send(self._to_room(room, event, data), timeout)

    async def send_collection_change(
        self, collection: str, event: ChangeType, document: JSON, timeout: float
    ) -> Receipt:
        """Tell that a document changed, and wait for rooms that are busy, `timeout` each at most.

        It does not wait for the broker: the change is committed, and is told in this order.
        """
        receipts = []
        for change in self._listeners(collection, event, document):
            if change.ref is None:
                receipts.append(self._emit(change))
                continue
            message = ServerEmit(event, change.encoded, self._event_ids())
            delivery = Delivery.DROPPED
            with trio.move_on_after(timeout):
                delivery = await change.ref.send(message)
            receipts.append(self._receipt(change, message.event_id, delivery))
        return _worst(receipts)

    def room(self, name: str) -> RoomRef:
        """Return a room's address, started if need be: to `ask` it something."""
        self._affinity.check("Hub.room")
        return self._rooms.open(name)

    @property
    def from_thread(self) -> ThreadHub:
        """The same calls for other threads. Take it on trio's thread, hand it to the thread."""
        self._affinity.check("Hub.from_thread")
        return ThreadHub(self, trio.lowlevel.current_trio_token())

    def _listeners(self, collection: str, event: ChangeType, document: JSON) -> Iterator[_Emit]:
        """Find the two rooms of a change, where somebody is in them, and what each is told."""
        self._affinity.check("Hub.emit_collection_change")
        encoded = encode_data(document)
        room = f"collection:{collection}"
        yield _Emit(room, self._rooms.find(room), event, encoded, refusable=False)
        envelope = {"collection": collection, "type": event, "data": orjson.Fragment(encoded)}
        ref = self._rooms.find("collections")
        yield _Emit("collections", ref, event, encode_data(envelope), refusable=False)

    def _to_room(self, room: str, event: str, data: JSON) -> _Emit:
        self._affinity.check("Hub.emit_to_room")
        ref = self._rooms.find(room)
        if ref is None and self._rooms.is_bound(room):
            ref = self._rooms.open(room)
        return _Emit(room, ref, event, encode_data(data))

    def _emit(self, emit: _Emit, settle: Settle | None = None) -> Receipt:
        """Leave it with the room, or with the other pods' where nobody is in it here."""
        event_id = self._event_ids()
        room, ref, event, encoded, _ = emit
        refusal = self._refusal(emit)
        if refusal is not None:
            return Receipt(event_id, Scope.REJECTED, refusal)
        if ref is not None:
            message = ServerEmit(event, encoded, event_id, settle)
            return self._receipt(emit, event_id, ref.tell(message))
        scope: Scope | None = Scope.LOCAL
        if self._uplink is not None:
            scope = self._uplink.publish(room, event, encoded, event_id, settle)
        if scope is None:
            return Receipt(event_id, Scope.QUEUED)
        if settle is not None:
            settle(scope)
        return Receipt(event_id, scope)

    async def _send(self, emit: _Emit, timeout: float) -> Receipt:
        settled = trio.Event()
        scopes: list[Scope] = []

        def settle(scope: Scope) -> None:
            scopes.append(scope)
            settled.set()

        # Who waits for room in a mailbox in vain leaves nothing behind.
        reason = "the room is too busy; emit more slowly, or allow it more time"
        receipt = Receipt("", Scope.REJECTED, reason)
        with trio.move_on_after(timeout):
            receipt = await self._leave(emit, settle)
            if receipt.scope is not Scope.REJECTED:
                await settled.wait()
        return evolve(receipt, scope=scopes[0]) if scopes else receipt

    async def _leave(self, emit: _Emit, settle: Settle) -> Receipt:
        if emit.ref is None or self._refusal(emit) is not None:
            return self._emit(emit, settle)
        message = ServerEmit(emit.event, emit.encoded, self._event_ids(), settle)
        return self._receipt(emit, message.event_id, await emit.ref.send(message))

    def _refusal(self, emit: _Emit) -> str | None:
        if self._uplink is None or not emit.refusable:
            return None
        problem = self._uplink.refusal(emit.room, len(emit.encoded))
        return None if problem is None else problem.message

    def _receipt(self, emit: _Emit, event_id: str, delivery: Delivery) -> Receipt:
        if delivery:
            uplink = self._uplink
            return Receipt(event_id, Scope.LOCAL if uplink is None else uplink.outlook(emit.room))
        path = emit.ref.path if emit.ref else emit.room
        reason = f"{path} has ended"
        if delivery is Delivery.DROPPED:
            reason = f"the mailbox of {path} is full; emit more slowly"
        return Receipt(event_id, Scope.REJECTED, reason)


def _worst(receipts: Sequence[Receipt]) -> Receipt:
    return min(receipts, key=lambda receipt: _WORST_FIRST.index(receipt.scope))


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
