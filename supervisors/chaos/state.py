"""Which faults are active when, and whom they strike: pure, the time and chance are passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from attrs import define, field, frozen

from ...config import PatternMap
from ...transport import JSON
from ...transport.brokers.contract import Channel, room_channel
from ...transport.brokers.faulty import Fate
from ..errors import BadFault
from .faults import InPodFault, PodFault

__all__ = ["ActiveFault", "ChaosState", "Disturbance", "refuse_nobody"]

MOST_ACTIVE: Final = 32
"""Faults that may be active at once."""

MOST_CRASHED: Final = 10_000
"""Actors of which a fault remembers how often it has crashed them; then it crashes no others."""

_ACTORS: Final = (PodFault.CRASH, PodFault.HANG, PodFault.SLOW)
_LINK: Final = (PodFault.DROP, PodFault.DUPLICATE, PodFault.DELAY, PodFault.REORDER)
_FATES: Final = {
    PodFault.DROP: Fate(copies=0),
    PodFault.DUPLICATE: Fate(copies=2),
    PodFault.REORDER: Fate(behind=True),
}


@define(eq=False)
class ActiveFault:
    """A fault from `begin` until `until`, in the clock's seconds; `struck` is how often it did."""

    number: int
    fault: InPodFault
    begin: float
    until: float
    struck: int = 0
    crashed: Counter[str] = field(factory=Counter)
    _paths: PatternMap[bool] = field(init=False)
    _channel: Channel | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._paths = PatternMap({self.fault.path: True} if self.fault.path else {})
        room = self.fault.room
        self._channel = None if room is None else room_channel(room)

    def matches(self, path: str) -> bool:
        """Whether an actor of that path is meant."""
        return self._paths.match(path) is not None

    def concerns(self, channel: Channel) -> bool:
        """Whether messages of that channel are meant."""
        return self._channel is None or self._channel == channel

    def crashes(self, path: str) -> bool:
        """Whether an actor is to crash now, which is counted."""
        known = path in self.crashed
        if self.crashed[path] >= self.fault.times or (
            not known and len(self.crashed) > MOST_CRASHED
        ):
            return False
        self.crashed[path] += 1
        return True

    def shown(self, now: float) -> dict[str, JSON]:
        """Return it as JSON, with the seconds that it has left."""
        left = round(max(0.0, self.until - now), 3)
        return {
            "id": self.number,
            **self.fault.shown(),
            "left": left,
            "struck": self.struck,
            "says": self.fault.described(),
        }


@frozen
class Disturbance:
    """What befalls one turn of an actor: how long it waits (seconds), and whether it crashes."""

    wait: float
    crash: InPodFault | None


class ChaosState:
    """What is wrong on purpose. Whoever asks passes the time, in the seconds of one clock.

    A fault is over when its time is, whether anybody has tidied it away or not.
    """

    def __init__(self) -> None:
        self._active: dict[int, ActiveFault] = {}
        self._begun = 0
        self.struck: Counter[PodFault] = Counter()

    def begin(self, fault: InPodFault, now: float) -> ActiveFault:
        """Let a fault begin. Raises `BadFault` when there are too many."""
        self.forget_over(now)
        if len(self._active) >= MOST_ACTIVE:
            raise BadFault(f"{MOST_ACTIVE} faults are active; stop one, or wait for its end.")
        self._begun += 1
        begun = ActiveFault(self._begun, fault, now, now + fault.seconds)
        self._active[begun.number] = begun
        return begun

    def end(self, number: int) -> ActiveFault | None:
        """End a fault before its time; None when there is none of that number."""
        return self._active.pop(number, None)

    def forget_over(self, now: float) -> list[ActiveFault]:
        """Forget those whose time is over, and return them."""
        over = [one for one in self._active.values() if one.until <= now]
        for one in over:
            del self._active[one.number]
        return over

    def active(self, now: float) -> list[ActiveFault]:
        """Return those that are active, the oldest first."""
        return [one for one in self._active.values() if now < one.until]

    def next_end(self) -> float | None:
        """Return when the next one ends, or None."""
        return min((one.until for one in self._active.values()), default=None)

    def at_actors(self, now: float) -> list[ActiveFault]:
        """Return those that strike actors."""
        return list(self._of(_ACTORS, now))

    def disturbance(self, path: str, now: float) -> Disturbance | None:
        """Decide what befalls the turn of an actor; what it suffers is counted."""
        wait, crash = 0.0, None
        for one in self._of(_ACTORS, now):
            if not one.matches(path):
                continue
            if one.fault.kind is PodFault.CRASH:
                if crash is not None or not one.crashes(path):
                    continue
                crash = one.fault
            else:
                left = one.until - now
                hangs = one.fault.kind is PodFault.HANG
                wait = max(wait, left if hangs else min(left, one.fault.delay))
            self._strike(one)
        return None if wait == 0.0 and crash is None else Disturbance(wait, crash)

    def crash_now(self, one: ActiveFault, path: str) -> bool:
        """Decide whether a fault crashes an actor that has no turn; what it suffers is counted."""
        crashes = one.crashes(path)
        if crashes:
            self._strike(one)
        return crashes

    def fate(self, channel: Channel, now: float, chance: Callable[[], float]) -> Fate | None:
        """Decide what becomes of a message that was heard; `chance` draws from 0 to below 1.

        The oldest fault that takes it has it.
        """
        if not self._active:
            return None
        for one in self._of(_LINK, now):
            if one.concerns(channel) and chance() < one.fault.share:
                self._strike(one)
                return _FATES.get(one.fault.kind) or Fate(delay=one.fault.delay)
        return None

    def store_fails(self, now: float, chance: Callable[[], float]) -> float | None:
        """Decide whether a call of the database fails: the seconds for which more will, or None."""
        for one in self._of((PodFault.STORE,), now):
            if chance() < one.fault.share:
                self._strike(one)
                return one.until - now
        return None

    def skew(self, now: float) -> float:
        """Return the seconds that the wall clock is wrong."""
        if not self._active:
            return 0.0
        return sum(one.fault.skew for one in self._of((PodFault.SKEW,), now))

    def _of(self, kinds: tuple[PodFault, ...], now: float) -> Iterator[ActiveFault]:
        for one in self._active.values():
            if one.fault.kind in kinds and now < one.until:
                yield one

    def _strike(self, one: ActiveFault) -> None:
        one.struck += 1
        self.struck[one.fault.kind] += 1


def refuse_nobody(fault: InPodFault, paths: Iterable[str]) -> None:
    """Raise `BadFault` for a path that is no pattern and that no actor has, with the nearest."""
    if not fault.path or "*" in fault.path:
        return
    known = list(paths)
    if fault.path in known:
        return
    near = get_close_matches(fault.path, known, 1)
    meant = f"did you mean {near[0]}" if near else "look at 'deployd tree'"
    raise BadFault(f"No actor has the path '{fault.path}'; {meant}, or write * for what varies.")
