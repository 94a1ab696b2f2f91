"""Does what is decided in `state`: at actors, the link, the store and the clock of one pod."""

from __future__ import annotations

import math
import random as random_module
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio

from ...actors import ActorCell, Exit
from ...config import get_logger
from ...documents.store import FaultyStore, Store
from ...transport import JSON
from ...transport.brokers import FaultyBroker
from ...transport.brokers.contract import Broker, Channel
from ...transport.brokers.faulty import Fate
from ..errors import BadFault
from ..supervisor import Supervisor
from .faults import KINDS, PodFault, read_fault
from .state import ActiveFault, ChaosState, refuse_nobody
from .turns import cells_below, disturbed_kind

__all__ = ["InjectedCrash", "Injector"]

LOOK: Final = 0.05
"""Seconds between looks for actors that began to live while a fault is at their like."""

Answer = tuple[int, Mapping[str, object]]

_log = get_logger("chaos")


class InjectedCrash(Exception):
    """An actor crashes, for somebody wanted it to."""


class Injector:
    """The faults of one pod: asked for over HTTP or by code, and over by themselves.

    `root` returns the pod's tree, once there is one. `wall` returns unix seconds; `clock` seconds
    that only ever grow; `chance` draws from 0 to below 1. What is to go wrong is put together by
    `broker`, `store` and `wall`; actors are disturbed while `run` runs.
    """

    def __init__(
        self,
        root: Callable[[], Supervisor],
        wall: Callable[[], float],
        *,
        clock: Callable[[], float] = trio.current_time,
        chance: Callable[[], float] = random_module.random,
    ) -> None:
        self._state = ChaosState()
        self._root = root
        self._true_wall = wall
        self._clock = clock
        self._chance = chance
        self._changed = trio.Event()
        self._skew = 0.0
        self._over: dict[int, trio.Event] = {}
        self._kind = disturbed_kind(self._disturb)

    # What a pod is put together with ---------------------------------------------------------

    def broker(self, make: Callable[[], Broker]) -> Callable[[], Broker]:
        """Return what makes the same brokers, whose messages go through the faults."""
        return lambda: FaultyBroker(make(), self._fate)

    def store(self, store: Store) -> Store:
        """Return the same store, failing where it is to."""
        return FaultyStore(store, self._failing)

    def wall(self) -> float:
        """Return unix seconds, as wrong as they are to be; threads of the database ask too."""
        return self._true_wall() + self._skew

    async def run(self, started: Callable[[], None]) -> None:
        """Disturb actors, and end what is over, until cancelled: then nothing is left of it."""
        started()
        try:
            while True:
                self._tidy()
                await self._wait()
        finally:
            for one in self._state.active(-math.inf):
                self._end(one, "the pod stops")
            self._tidy()

    # What is asked of it ---------------------------------------------------------------------

    def inject(self, fault: str, **wanted: object) -> ActiveFault:
        """Let a fault begin, by the names that HTTP knows. Raises `BadFault`."""
        return self.begin({"fault": fault, **wanted})

    def begin(self, wanted: Mapping[str, object]) -> ActiveFault:
        """Let a fault begin that was asked for. Raises `BadFault`."""
        fault = read_fault(wanted)
        if fault.path:
            refuse_nobody(fault, (cell.path for cell in cells_below(self._root())))
        begun = self._state.begin(fault, self._clock())
        self._over[begun.number] = trio.Event()
        _log.warning("a fault begins", id=begun.number, seconds=fault.seconds,
                     fault=fault.described())  # fmt: skip
        self._tidy()
        if fault.kind is PodFault.CRASH:
            self._crash_the_idle(begun)
        self._changed.set()
        return begun

    def stop(self, number: int) -> bool:
        """End a fault now; false when there is none of that number."""
        one = next((o for o in self.active() if o.number == number), None)
        if one is None:
            return False
        self._end(one, "stopped")
        self._tidy()
        return True

    def stop_all(self) -> int:
        """End all faults now; return how many there were."""
        return sum([self.stop(one.number) for one in self.active()])

    def active(self) -> list[ActiveFault]:
        """Return the faults that are active, the oldest first."""
        return self._state.active(self._clock())

    @property
    def struck(self) -> Mapping[PodFault, int]:
        """How often each kind has struck since the pod began."""
        return self._state.struck

    # The same for HTTP: a status, and what to say with it ------------------------------------

    def shown(self) -> dict[str, JSON]:
        """Show what is active, and what else there is."""
        now = self._clock()
        return {
            "faults": [one.shown(now) for one in self._state.active(now)],
            "struck": {kind.value: self._state.struck[kind] for kind in PodFault},
            "kinds": {kind.value: _kind_shown(kind) for kind in PodFault},
        }

    def start(self, wanted: Mapping[str, object]) -> Answer:
        """Let a fault begin: 201 and how it is, or why not."""
        try:
            begun = self.begin(wanted)
        except BadFault as error:
            return 400, {"error": str(error)}
        return 201, begun.shown(self._clock())

    def look(self, number: str) -> Answer:
        """Show one that is active."""
        for one in self.active():
            if str(one.number) == number:
                return 200, one.shown(self._clock())
        return 404, {"error": f"There is no fault {number[:20]}; it is over, or never was."}

    def end(self, number: str) -> Answer:
        """End one that is active, and show it."""
        status, answer = self.look(number)
        if status == 200:
            self.stop(int(number))
        return status, answer

    # Inside ----------------------------------------------------------------------------------

    def _fate(self, channel: Channel) -> Fate | None:
        return self._state.fate(channel, self._clock(), self._chance)

    def _failing(self) -> float | None:
        return self._state.store_fails(self._clock(), self._chance)

    async def _disturb(self, path: str) -> None:
        """Befall an actor before its turn, with whatever is at it now."""
        found = self._state.disturbance(path, self._clock())
        if found is None:
            return
        if found.wait:
            await self._hold(path, self._clock() + found.wait)
        if found.crash is not None:
            raise InjectedCrash(f"{found.crash.described()}: chaos is on, and somebody wanted it.")

    async def _hold(self, path: str, until: float) -> None:
        """Hold an actor up until a time, or until nothing that is at it is active any more."""
        while self._clock() < until:
            at_it = [one for one in self._state.at_actors(self._clock()) if one.matches(path)]
            slow = [one for one in at_it if one.fault.kind is not PodFault.CRASH]
            if not slow:
                return
            with trio.move_on_after(until - self._clock()):
                await self._over[slow[-1].number].wait()

    def _crash_the_idle(self, begun: ActiveFault) -> None:
        """Crash those who have no turn before them, and so would not."""
        for cell in cells_below(self._root()):
            if cell.idle and cell.exit is None and begun.matches(cell.path):
                self._crash(cell, begun)

    def _crash(self, cell: ActorCell[Any], begun: ActiveFault) -> None:
        if self._state.crash_now(begun, cell.path):
            cell.end(Exit.crashed(InjectedCrash(f"{begun.fault.described()}: chaos is on.")))

    def _end(self, one: ActiveFault, why: str) -> None:
        self._state.end(one.number)
        self._let_go(one, why)

    def _let_go(self, one: ActiveFault, why: str) -> None:
        _log.warning("a fault is over", id=one.number, fault=one.fault.described(),
                     struck=one.struck, because=why)  # fmt: skip
        over = self._over.pop(one.number, None)
        if over is not None:
            over.set()

    def _tidy(self) -> None:
        """Let go of what is over, and make the clock and every cell what they are to be."""
        now = self._clock()
        for one in self._state.forget_over(now):
            self._let_go(one, "its time is over")
        self._skew = self._state.skew(now)
        at_actors = self._state.at_actors(now)
        for cell in cells_below(self._root()):
            struck = any(one.matches(cell.path) for one in at_actors)
            if struck and type(cell) is ActorCell:
                cell.__class__ = self._kind
                cell.wake()  # who listens does so as another from now on
            elif not struck and type(cell) is self._kind:
                cell.__class__ = ActorCell

    async def _wait(self) -> None:
        due = self._state.next_end()
        deadline = math.inf if due is None else due
        if self._state.at_actors(self._clock()):
            deadline = min(deadline, self._clock() + LOOK)
        with trio.move_on_after(max(0.0, deadline - self._clock())):
            await self._changed.wait()
        self._changed = trio.Event()


def _kind_shown(kind: PodFault) -> dict[str, JSON]:
    sort = KINDS[kind]
    takes: dict[str, JSON] = {
        name: {"least": it.least, "most": it.most, "default": it.default, "about": it.about}
        for name, it in sort.numbers.items()
    }
    return {"about": sort.about, "numbers": takes, "path": sort.path, "room": sort.room}
