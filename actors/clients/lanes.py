"""What a client says in rooms that have no place for it at the moment.

Each such room has a lane of its own: what is said there stays in order and waits, while everything
else that the client asks for goes on. What waits counts against what the pod takes from the client
(`Backpressure`), so who says too much into a full room is no longer read from, and loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import trio

from ...transport import Spawn
from ..rooms import RoomEmit
from ..runtime import ActorRef, Delivery
from .backpressure import Backpressure

__all__ = ["Lanes"]

Refuse = Callable[[str, RoomEmit, Delivery], None]
"""Answers an emit that the room did not take: the room, the emit, why."""


class _Lane:
    __slots__ = ("room", "scope", "waiting")

    def __init__(self, room: str) -> None:
        self.room = room
        self.scope = trio.CancelScope()
        self.waiting: deque[tuple[ActorRef[object], RoomEmit, float]] = deque()


class Lanes:
    """The lanes of one client; a task exists for each in which something waits."""

    __slots__ = ("_backpressure", "_lanes", "_refuse", "_spawn")

    def __init__(self, backpressure: Backpressure, refuse: Refuse) -> None:
        self._backpressure = backpressure
        self._refuse: Refuse = refuse
        self._lanes: dict[str, _Lane] = {}
        self._spawn: Spawn | None = None

    def attach(self, spawn: Spawn) -> None:
        """Say where the tasks may run."""
        self._spawn = spawn

    def end(self) -> None:
        """Let go of everything: the client is gone."""
        self._spawn = None
        self._refuse = _tell_nobody
        for lane in self._lanes.values():
            lane.scope.cancel()
        self._lanes.clear()

    def occupied(self, room: str) -> bool:
        """Whether something waits for a room: what is said there next waits behind it."""
        return room in self._lanes

    def wait(self, room: str, ref: ActorRef[object], emit: RoomEmit, deadline: float) -> None:
        """Let an emit wait for place in a room's mailbox, until `deadline` (trio's seconds)."""
        lane = self._lanes.get(room)
        if lane is None:
            lane = self._lanes[room] = _Lane(room)
            if self._spawn is not None:
                self._spawn(partial(self._feed, lane))
        lane.waiting.append((ref, emit, deadline))
        self._backpressure.took(emit.nbytes)

    def close(self, room: str) -> None:
        """Refuse what waits for a room: its client has left it."""
        lane = self._lanes.pop(room, None)
        if lane is not None:
            lane.scope.cancel()
            while lane.waiting:
                self._give_up(lane, Delivery.DROPPED)

    async def _feed(self, lane: _Lane) -> None:
        with lane.scope:
            while lane.waiting:
                ref, emit, deadline = lane.waiting[0]
                delivery = Delivery.DROPPED
                with trio.move_on_at(deadline):
                    delivery = await ref.send(emit)
                if not lane.waiting:  # closed, and refused, while it was let in
                    return
                if delivery:
                    lane.waiting.popleft()
                    self._backpressure.handled(emit.nbytes)
                else:
                    self._give_up(lane, delivery)
            if self._lanes.get(lane.room) is lane:
                del self._lanes[lane.room]

    def _give_up(self, lane: _Lane, delivery: Delivery) -> None:
        _, emit, _ = lane.waiting.popleft()
        self._backpressure.handled(emit.nbytes)
        self._refuse(lane.room, emit, delivery)


def _tell_nobody(room: str, emit: RoomEmit, delivery: Delivery) -> None:
    """Stand in for the answer to a client that is gone."""
