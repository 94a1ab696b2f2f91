"""What waits to be read by whom: events by room and all together, outages, signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..transport.protocols import ClientEvent, Outage, Problem, read_outage
from .errors import ClientError, RoomLost
from .messages import Signal
from .unread import Unread, UnreadQueue

__all__ = ["Inboxes"]

MOST_SIGNALS: Final = 1_000
"""Signals and outages that wait for a reader; the oldest give way."""


class Inboxes:
    """One queue for each room that was ever asked for, from then until it is left.

    So an event that a room says as it lets us in is there for whoever reads later. That of all
    events begins when it is first asked for.
    """

    def __init__(self, most: int, policy: Unread) -> None:
        drop = Unread.DROP_OLDEST
        self.outages: UnreadQueue[Outage] = UnreadQueue(MOST_SIGNALS, drop, "outages")
        self.signals: UnreadQueue[Signal] = UnreadQueue(MOST_SIGNALS, drop, "signals")
        self._most = most
        self._policy = policy
        self._rooms: dict[str, UnreadQueue[ClientEvent]] = {}
        self._all: UnreadQueue[ClientEvent] | None = None
        self._told: UnreadQueue[ClientEvent | Signal] | None = None
        self._end: tuple[Callable[[], ClientError] | None] | None = None

    def everything(self) -> UnreadQueue[ClientEvent]:
        """Return the queue of all events, whoever they are said to."""
        if self._all is None:
            self._all = self._queue("events")
        return self._all

    def told(self) -> UnreadQueue[ClientEvent | Signal]:
        """Return the queue of events and signals, in the order that they came."""
        if self._told is None:
            self._told = UnreadQueue(self._most, self._policy, "what was told")
            if self._end is not None:
                self._told.end(*self._end)
        return self._told

    def signal(self, signal: Signal, nbytes: int = 0) -> None:
        """Take what befalls the client."""
        self.signals.put(signal, nbytes)
        if self._told is not None:
            self._told.put(signal, nbytes)

    def room(self, name: str) -> UnreadQueue[ClientEvent]:
        """Return that of a room; an ended one where the room was lost."""
        if name not in self._rooms:
            self._rooms[name] = self._queue(f"events of the room '{name}'")
        return self._rooms[name]

    def enter(self, name: str) -> None:
        """Have a queue for a room that is asked for: a new one after the room was lost."""
        if self.room(name).ended and self._end is None:
            del self._rooms[name]
            self.room(name)

    def leave(self, name: str) -> None:
        """End a room's: it was left."""
        queue = self._rooms.pop(name, None)
        if queue is not None:
            queue.end()

    def lose(self, problem: Problem) -> None:
        """End a room's with an error: the pod has put us out."""
        name = problem.room or ""
        sentence, after = problem.message, problem.retry_after
        self.room(name).end(lambda: RoomLost(problem.code, sentence, name, after))

    def hear(self, event: ClientEvent, nbytes: int) -> Outage | None:
        """Take an event, and return the outage that it tells of."""
        outage = read_outage(event.name, event.data)
        if self._all is not None:
            self._all.put(event, nbytes)
        if outage is not None:
            self.outages.put(outage, nbytes)
            self.signal(outage, nbytes)
            return outage
        if self._told is not None:
            self._told.put(event, nbytes)
        if event.room in self._rooms:
            self._rooms[event.room].put(event, nbytes)
        return None

    def end(self, why: Callable[[], ClientError] | None) -> None:
        """End all of them, in an error where there is one."""
        self._end = (why,)
        for queue in self._rooms.values():
            queue.end(why)
        if self._all is not None:
            self._all.end(why)
        if self._told is not None:
            self._told.end(why)
        self.outages.end(why)
        self.signals.end(why)

    def _queue(self, what: str) -> UnreadQueue[ClientEvent]:
        queue: UnreadQueue[ClientEvent] = UnreadQueue(self._most, self._policy, what)
        if self._end is not None:
            queue.end(*self._end)
        return queue
