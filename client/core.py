"""What outlives a connection: rooms, who waits for what, what is there to be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import trio
from attrs import evolve, frozen

from ..transport.protocols import (
    JSON,
    ClientEvent,
    ClientMessage,
    Degraded,
    FromPod,
    Healed,
    KeptPlace,
    Problem,
)
from .endings import Comeback, Ending
from .errors import ClientError, ClosedForGood, Misuse, NoAnswer, Refused, Unconfirmed
from .inboxes import Inboxes
from .messages import CameUp, RoomEntered, RoomLeft, WentDown
from .outstanding import Outstanding, Promise
from .rooms import Step, StepOutcome, WantedRooms
from .unread import Unread

__all__ = ["Core", "Options", "Talk", "Token"]

Token: TypeAlias = str | Callable[[], Awaitable[str]] | None
"""What a client shows: a token, or an async function that gets one each time it is needed."""


@frozen
class Options:
    """How a client behaves: see `connect`. Times are seconds."""

    timeout: float
    heartbeat: float
    most_unread: int
    unread: Unread
    random: Callable[[], float]

    def __attrs_post_init__(self) -> None:
        if not (self.timeout > 0 and self.heartbeat > 0 and self.most_unread >= 1):
            raise Misuse(
                "Give a `timeout` and a `heartbeat` above 0 s (math.inf for never), and a "
                "`most_unread` of 1 or more."
            )


class Talk(Protocol):
    """A connection on which the pod has greeted and knows who we are."""

    client_id: str

    async def ask(self, message: ClientMessage, what: str, timeout: float) -> FromPod:
        """Send a request and return its answer; `what` names it.

        Raises `Refused`, `NoAnswer`, `Unconfirmed`, `Disconnected` and `Misuse`.
        """

    def tend(self) -> None:
        """Look after the rooms: something is due, perhaps."""


class Core:
    """All that a `Client` shows, and what its connections leave behind.

    `talk` is the connection that can be used, `last` how the one before it ended. `error` makes
    why the client has ended for good.
    """

    def __init__(self, token: Token, options: Options) -> None:
        self.options = options
        self.token = token
        self.rooms = WantedRooms(options.random)
        self.outstanding: Outstanding[FromPod] = Outstanding()
        self.inboxes = Inboxes(options.most_unread, options.unread)
        self.talk: Talk | None = None
        self.last: Ending | None = None
        self.degraded: Degraded | None = None
        self.error: Callable[[], ClientError] | None = None
        self.closing = trio.Event()
        self._changed = trio.Event()
        self._joining: dict[str, list[Promise[None]]] = {}
        self._leaving: dict[str, list[Promise[None]]] = {}

    # What the caller wants ----------------------------------------------------------------------

    def want(self, room: str, data: JSON = None) -> Promise[None]:
        """Want to be in a room; the promise is kept when the pod has let us in."""
        promise: Promise[None] = Promise()
        self.inboxes.enter(room)
        self.rooms.want(room, data)
        self._settle(self._leaving, room)  # it stays, then
        if self.rooms.is_in(room):
            promise.keep(None)
        else:
            self._joining.setdefault(room, []).append(promise)
        self._tend()
        return promise

    def give_up(self, room: str, promise: Promise[None]) -> None:
        """Wait no longer; a room that we were never in goes with the last who waits for it."""
        waiting = self._joining.get(room, [])
        if promise in waiting:
            waiting.remove(promise)
            if not waiting:
                del self._joining[room]
                if not self.rooms.is_known(room):
                    self.unwant(room)

    def unwant(self, room: str) -> Promise[None]:
        """Want it no longer; the promise is kept when the pod has let us out."""
        promise: Promise[None] = Promise()
        self.inboxes.leave(room)
        self.rooms.unwant(room)
        self.outstanding.fail_kept(room, Unconfirmed)
        left = Problem("left", f"The room '{room}' was left meanwhile.", room)
        self._settle(self._joining, room, lambda: Refused.of(left))
        if self.rooms.holds(room):
            self._leaving.setdefault(room, []).append(promise)
        else:
            promise.keep(None)
        self._tend()
        return promise

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when this is so. Raises why the client has ended."""
        while not condition():
            if self.error is not None:
                raise self.error()
            await self._changed.wait()

    # What the pod says --------------------------------------------------------------------------

    def up(self, talk: Talk) -> None:
        """Use a connection from now on."""
        self.talk = talk
        self.inboxes.signal(CameUp(talk.client_id))
        self._change()

    def hear(self, event: ClientEvent, nbytes: int) -> None:
        """Take an event."""
        outage = self.inboxes.hear(event, nbytes)
        if isinstance(outage, Degraded):
            self.degraded = outage
        elif isinstance(outage, Healed):
            self.degraded = None

    def answered(
        self, step: Step, problem: Problem | None, now: float, place: KeptPlace | None = None
    ) -> None:
        """Take what the pod says to a join or leave: a problem, or none, and perhaps a place."""
        room, outcome = step.room, self.rooms.answered(step, problem, now)
        if outcome is StepOutcome.ENTERED:
            self._entered(room, place)
            if room in self.rooms.wanted:
                self._settle(self._joining, room)
        elif outcome is StepOutcome.REFUSED and problem is not None:
            self._refused(problem, room)
        if (not self.rooms.is_in(room) and not step.joins) or not self.rooms.holds(room):
            self._settle(self._leaving, room)
        self._change()

    def _entered(self, room: str, place: KeptPlace | None) -> None:
        returned = place is not None and place.returned
        self.rooms.placed(room, None if place is None else place.resume)
        if returned:
            self.outstanding.hope(room)
        else:
            self.outstanding.fail_kept(room, Unconfirmed)
        self.inboxes.signal(RoomEntered(room, returned))

    def told(self, problem: Problem, now: float) -> None:
        """Take a problem that answers nothing."""
        if self.rooms.told(problem, now):
            self.lose(problem)
        else:
            self.inboxes.signal(problem)
        self._tend()

    def lose(self, problem: Problem) -> None:
        """Note that we are in a room no longer, though we want to."""
        room = problem.room or ""
        self.outstanding.fail_kept(room, Unconfirmed)
        self.inboxes.lose(problem)
        self.inboxes.signal(RoomLeft(room, problem.code, problem.message))
        self._settle(self._joining, room, lambda: Refused.of(problem))
        self._change()

    # How it ends --------------------------------------------------------------------------------

    def down(self, ending: Ending, decided: Comeback) -> None:
        """Note that a connection has ended, or that there was none."""
        self.talk, self.degraded, self.last = None, None, ending
        self.rooms.lost()
        self.outstanding.fail_all(Unconfirmed, self.rooms.keeps_place)
        for room in list(self._leaving):
            self._settle(self._leaving, room)  # who is gone has left
        down = WentDown(ending.code, ending.reason, decided.wait, decided.final)
        self.inboxes.signal(down)
        if decided.final:
            self.end(_error_of(ending))
        self._change()

    def end(self, error: Callable[[], ClientError], *, wanted: bool = False) -> None:
        """Come back no more: all who wait are told; what is read ends quietly if that is wanted."""
        self.error, self.talk = error, None
        self.outstanding.fail_all(lambda _: error())
        for room in list(self._joining):
            self._settle(self._joining, room, error)
        self.inboxes.end(None if wanted else error)
        self._change()

    def _refused(self, problem: Problem, room: str) -> None:
        named = evolve(problem, room=room)
        self.outstanding.fail_kept(room, Unconfirmed)
        if room in self._joining and problem.code == "timeout":
            seconds = self.options.timeout
            self._settle(self._joining, room, lambda: NoAnswer("join", seconds))
            self.inboxes.leave(room)
        elif room in self._joining:
            self._settle(self._joining, room, lambda: Refused.of(named))
            self.inboxes.leave(room)
        else:
            self.lose(named)

    def _settle(
        self,
        waiting: dict[str, list[Promise[None]]],
        room: str,
        error: Callable[[], ClientError] | None = None,
    ) -> None:
        for promise in waiting.pop(room, ()):
            if error is None:
                promise.keep(None)
            else:
                promise.fail(error)

    def _tend(self) -> None:
        if self.talk is not None:
            self.talk.tend()

    def _change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        self._tend()


def _error_of(ending: Ending) -> Callable[[], ClientError]:
    refusal = ending.refusal
    if refusal is not None:
        return lambda: Refused.of(refusal)
    code = ending.code if ending.status is None else ending.status
    return lambda: ClosedForGood(code, ending.reason or "it did not say why")
