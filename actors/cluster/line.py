"""The line in which stands all that comes from the broker, and a room that holds it up.

What a pod that was frozen finds waiting is more than its rooms' mailboxes take at once, and what
the broker keeps is not lost. So the line waits while the room is full that its next events are for:
they are taken at the room's own rate. Whoever stands behind waits too, so no room may hold the line
up for long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio
from attrs import define, frozen

from ...transport import Event
from .awake_timeout import AwakeTimeouts
from .counters import Counters
from .inbound import Listeners
from .membership import Peers

__all__ = ["Lenience", "ReceivingLine"]

STUCK: Final = 0.5
"""Seconds that the line waits for a room that takes nothing. Then what is for it is lost, and told
to its members, until there is place for something by itself."""
HELD_UP: Final = 5.0
"""Seconds that rooms which do take something may hold up the line, all together."""
REGAINED: Final = 0.1
"""What they regain of it in each second."""
MOST_SLEPT: Final = 60.0
"""Seconds that the pod has slept and its rooms get beside it, to catch up."""
MOST_STUCK: Final = 1024
"""Rooms that are known to be stuck; of more all are waited for anew."""


@define
class Lenience:
    """How long rooms may hold up the line: pure. `now` is steady seconds."""

    _left: float = HELD_UP
    _since: float = 0.0

    def left(self, now: float) -> float:
        """Return for how many seconds they still may, from now."""
        return max(self._left, min(HELD_UP, self._left + REGAINED * (now - self._since)))

    def slept(self, seconds: float) -> None:
        """Give them as long as the pod has slept: so much came meanwhile."""
        self._left = min(self._left + seconds, HELD_UP + MOST_SLEPT)

    def spend(self, began: float, ended: float) -> None:
        """Note that one has."""
        self._left, self._since = max(0.0, self.left(began) - (ended - began)), ended


@frozen
class _Rest:
    """What has found no place in its room."""

    room: str | None
    events: Sequence[Event]
    nbytes: int

    def last(self, count: int) -> _Rest:
        """Return its last events."""
        events = self.events[len(self.events) - count :]
        return _Rest(self.room, events, self.nbytes * count // len(self.events))


class ReceivingLine:
    """Hands events to rooms in the order they come; of one connection.

    `run` does the waiting. A broker that asks `full` keeps meanwhile what comes behind; one that
    does not has it handed to other rooms, and lost for this one.
    """

    def __init__(
        self,
        listeners: Listeners,
        counters: Counters,
        timeouts: AwakeTimeouts,
        peers: Peers,
        clock: Callable[[], float],
    ) -> None:
        self._listeners = listeners
        self._counters = counters
        self._timeouts = timeouts
        self._peers = peers
        self._clock = clock
        self._lenience = Lenience()
        self._slept = timeouts.slept
        self._stuck: set[str | None] = set()
        self._rest: _Rest | None = None
        self._resume: Callable[[], object] | None = None
        self._held_up = trio.Event()

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> None:
        """Hand events to a room. What finds no place holds up the line, or is lost."""
        if self._rest is not None and self._rest.room == room:
            left = len(events)  # nobody overtakes
        else:
            left = self._listeners.deliver(room, events, nbytes)
            if not left:
                self._stuck.discard(room)
                return
        rest = _Rest(room, events, nbytes).last(left)
        self._lenience.slept(self._timeouts.slept - self._slept)
        self._slept = self._timeouts.slept
        waits = self._rest is None and room not in self._stuck
        if waits and self._lenience.left(self._clock()) > 0:
            self._rest = rest
            self._held_up.set()
        else:
            self._lose(rest)

    def missed(self, room: str | None, count: int) -> None:
        """Tell a room that so many events were not let in."""
        self._listeners.missed(room, count)

    def full(self, resume: Callable[[], object]) -> bool:
        """Say whether to keep what comes until `resume` is called."""
        if self._rest is None:
            return False
        self._resume = resume
        return True

    async def run(self) -> None:
        """Wait for rooms that are full, until cancelled."""
        try:
            while True:
                await self._held_up.wait()
                self._held_up = trio.Event()
                await self._stand()
        finally:
            self._give_up()

    async def _stand(self) -> None:
        """Stand still until the room has taken what is for it, or has been waited for enough."""
        began = self._clock()
        with self._timeouts.asleep():  # what comes late for this is no fault of the broker's
            await self._wait(began + self._lenience.left(began))
        self._lenience.spend(began, self._clock())
        self._give_up()
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()

    async def _wait(self, ends: float) -> None:
        while (rest := self._rest) is not None:
            left, since = len(rest.events), self._clock()
            with trio.move_on_after(max(0.0, min(STUCK, ends - since))):
                left = await self._listeners.deliver_in_turn(rest.room, rest.events, rest.nbytes)
            now = self._clock()
            self._peers.excuse(now - since, now)  # their beats stand in the line, too
            if left == len(rest.events):
                self._is_stuck(rest.room)
                return
            rest = rest.last(left)
            if rest.events:  # there may be place for more of it now
                rest = rest.last(self._listeners.deliver(rest.room, rest.events, rest.nbytes))
            self._rest = rest if rest.events else None

    def _is_stuck(self, room: str | None) -> None:
        if len(self._stuck) >= MOST_STUCK:
            self._stuck.clear()
        self._stuck.add(room)

    def _give_up(self) -> None:
        rest, self._rest = self._rest, None
        if rest is not None:
            self._lose(rest)

    def _lose(self, rest: _Rest) -> None:
        self._counters.undelivered += len(rest.events)
        self._listeners.missed(rest.room, len(rest.events), rest.events[0].time)
