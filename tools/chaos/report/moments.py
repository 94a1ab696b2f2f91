"""When what happened in a scenario, as data that a page can draw: bounded by its bins. Pure.

All times are seconds since the scenario began.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen
from attrs.validators import gt

__all__ = ["Band", "BandKind", "FaultSpan", "HoleMark", "Timeline"]


class BandKind(StrEnum):
    """What a band is of."""

    BREAKER = "breaker"
    """A pod's link to the broker: `starting`, `cut_off`, or what the pod itself calls it."""
    MEMBERSHIP = "membership"
    """Which other pods it hears: `partitioned`, or how many of how many."""
    LIFE = "life"
    """The pod itself: `down`, `paused`."""


@frozen
class Band:
    """A pod is in a state from `begin` to `end`, and what it is; when all is well there is none.

    `sampled` is whether the pod itself was asked; else it is from when the first of its clients was
    told until the last was told that it is over.
    """

    kind: BandKind
    pod: int
    begin: float
    end: float
    state: str
    sampled: bool = False


@frozen
class FaultSpan:
    """Something was wrong from `begin` to `end`; for a moment only where they are the same.

    `fault` is its kind, as in scenarios and the simulator, `words` all of it for people.
    """

    begin: float
    end: float
    fault: str
    words: str = ""


@frozen
class HoleMark:
    """Messages that did not come to whom they should: those of one bin and one fate.

    They were said from `begin` to `end`. `told` is when the last whom one of them concerns was told
    of it, None where they never were. `missed` counts deliveries, `clients` those who miss them.
    """

    begin: float
    end: float
    told: float | None
    missed: int
    clients: int
    rooms: tuple[str, ...]


@frozen
class Timeline:
    """A scenario in bins of `step` seconds.

    `here` are deliveries on the pod where the message was said, `elsewhere` those on others. The
    rest is in the order of time.
    """

    seconds: float = field(validator=gt(0))
    step: float = field(validator=gt(0))
    here: tuple[int, ...]
    elsewhere: tuple[int, ...]
    pods: int = 0
    faults: tuple[FaultSpan, ...] = ()
    bands: tuple[Band, ...] = ()
    holes: tuple[HoleMark, ...] = ()
