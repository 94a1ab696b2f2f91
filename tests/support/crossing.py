"""What the clients of one pod must have heard of what was said on another: pure.

Events are numbered; within a room the numbers grow, and no two events have the same. An event is
known to have happened between `began`, when its client sent it, and `answered`, when its receipt
came. A gap is what the hearing pod declared: from `since` (of `system:degraded`) to `until` (when
`system:healed` came). All times are unix seconds of one machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

__all__ = ["Gap", "Heard", "Said", "Verdict", "gaps", "judge"]

ROUNDING: Final = 0.002
"""Seconds by which the times of a notice may be rounded."""


@frozen
class Said:
    """An event and its receipt: `scope` is None when there was none."""

    room: str
    number: int
    began: float
    answered: float = math.inf
    scope: str | None = None
    buffered: bool = False


@frozen
class Heard:
    """An event that came, in the order of arrival."""

    room: str
    number: int
    replayed: bool = False


@frozen
class Gap:
    """A time that a pod says it may have missed something in; one that goes on has no end."""

    since: float
    until: float = math.inf

    def covers(self, said: Said) -> bool:
        """Whether the event may have been under way in it."""
        return said.began <= self.until + ROUNDING and said.answered >= self.since - ROUNDING


@frozen
class Verdict:
    """What one hearing pod did not get, or got wrong. All but the last two must be empty.

    `false_cluster` were promised to all and came in no declared gap; `undeclared` are all that
    nobody admits to have lost, these included; `missing` were promised to be replayed.
    `in_gap` the broker took and the hearer declared a gap over; `admitted` had the receipt
    `local` or `rejected`.
    """

    false_cluster: tuple[Said, ...] = ()
    undeclared: tuple[Said, ...] = ()
    missing: tuple[Said, ...] = ()
    duplicate: tuple[Heard, ...] = ()
    disordered: tuple[Heard, ...] = ()
    invented: tuple[Heard, ...] = ()
    in_gap: tuple[Said, ...] = ()
    admitted: tuple[Said, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not (
            self.false_cluster
            or self.undeclared
            or self.missing
            or self.duplicate
            or self.disordered
            or self.invented
        )


def judge(said: Iterable[Said], heard: Sequence[Heard], gaps: Sequence[Gap]) -> Verdict:
    """Compare what was said on one pod with what one client of another heard."""
    known = {(event.room, event.number): event for event in said}
    times = Counter((event.room, event.number) for event in heard)
    unheard = [event for place, event in known.items() if place not in times]
    admitted = [e for e in unheard if e.scope in ("local", "rejected")]
    declared = [e for e in unheard if e.scope == "cluster" and _covered(e, gaps)]
    excused = {id(event) for event in (*admitted, *declared)}
    return Verdict(
        false_cluster=tuple(e for e in unheard if e.scope == "cluster" and id(e) not in excused),
        undeclared=tuple(e for e in unheard if id(e) not in excused),
        missing=tuple(e for e in unheard if e.buffered and e.scope == "queued"),
        duplicate=tuple(_again(heard)),
        disordered=tuple(_disordered(heard)),
        invented=tuple(e for e in heard if (e.room, e.number) not in known),
        in_gap=tuple(declared),
        admitted=tuple(admitted),
    )


def _covered(event: Said, gaps: Sequence[Gap]) -> bool:
    return any(gap.covers(event) for gap in gaps)


def _again(heard: Sequence[Heard]) -> Iterable[Heard]:
    seen: set[tuple[str, int]] = set()
    for event in heard:
        if (event.room, event.number) in seen:
            yield event
        seen.add((event.room, event.number))


def _disordered(heard: Sequence[Heard]) -> Iterable[Heard]:
    """Find what came after something later of its room; what came twice is no disorder."""
    last: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    for event in heard:
        if (event.room, event.number) in seen:
            continue
        seen.add((event.room, event.number))
        if event.number < last.get(event.room, -1):
            yield event
        last[event.room] = max(event.number, last.get(event.room, -1))


def gaps(notices: Iterable[tuple[str, Mapping[str, float], float]]) -> list[Gap]:
    """Pair what a client was told: (event, data, when it came), in order."""
    found: list[Gap] = []
    since: float | None = None
    for event, data, at in notices:
        if event == "system:degraded" and since is None:
            since = data["since"]
        elif event == "system:healed" and since is not None:
            found.append(Gap(since, at))
            since = None
    return found if since is None else [*found, Gap(since)]
