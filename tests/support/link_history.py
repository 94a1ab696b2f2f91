"""What must be true of the history of several pods' links: pure, it only reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from deployd.transport import Scope

__all__ = ["Gap", "Hearing", "PodHistory", "Said", "check_history"]


@frozen
class Said:
    """An event: its sender, the outcomes that its sender was told, and when the broker took it.

    An event whose sender was in doubt may be taken twice.
    """

    id: str
    sender: str
    room: str | None
    outcomes: tuple[Scope, ...]
    taken: tuple[float, ...]


@frozen
class Hearing:
    """An event that a pod heard; `sequence` is its number among its sender's in the room.

    `visit` is how often somebody had come into the room or left it on this pod.
    """

    id: str
    room: str | None
    sequence: int
    visit: int = 0


@frozen
class Gap:
    """A time of which a pod has told its clients that they may have missed something."""

    begin: float
    end: float = math.inf


@frozen
class PodHistory:
    """What one pod heard and declared: its gaps, and its own counts.

    `absences` are the times when nobody was in a room on this pod, or was not told yet that it is.
    """

    heard: Sequence[Hearing]
    gaps: Sequence[Gap]
    absences: Mapping[str, Sequence[Gap]]
    lost: int
    expired: int
    missed: int


def check_history(said: Sequence[Said], pods: Mapping[str, PodHistory]) -> list[str]:
    """Return what is wrong, in sentences. All links are well by now, and nothing waits."""
    events = {event.id: event for event in said}
    wrong = [
        f"{event.id} was settled {len(event.outcomes)} times: {event.outcomes}"
        for event in said
        if len(event.outcomes) != 1
    ]
    wrong += [
        f"{event.id} was called cluster and no broker took it"
        for event in said
        if Scope.CLUSTER in event.outcomes and not event.taken
    ]
    for name, pod in pods.items():
        wrong += _invented_or_repeated(name, pod, events)
        wrong += _disordered(name, pod, events)
        wrong += _not_declared(name, pod, said)
        wrong += _miscounted(name, pod, said)
        wrong += _wrongly_missed(name, pod, events)
    return wrong


def _invented_or_repeated(name: str, pod: PodHistory, events: Mapping[str, Said]) -> list[str]:
    wrong = [
        f"{name} heard {id_} {times} times"
        for id_, times in Counter(hearing.id for hearing in pod.heard).items()
        if times > 1
    ]
    for hearing in pod.heard:
        event = events.get(hearing.id)
        if event is None or event.room != hearing.room or event.sender == name:
            wrong.append(f"{name} heard {hearing.id} in {hearing.room}, which nobody said there")
        elif event.outcomes == (Scope.REJECTED,):
            wrong.append(f"{name} heard {hearing.id}, which was rejected")
    return wrong


def _lines(
    pod: PodHistory, events: Mapping[str, Said], *, visits: bool = False
) -> dict[tuple[object, ...], list[int]]:
    lines: dict[tuple[object, ...], list[int]] = {}
    for hearing in pod.heard:
        if hearing.id in events:
            visit = hearing.visit if visits else 0
            line = (events[hearing.id].sender, hearing.room, visit)
            lines.setdefault(line, []).append(hearing.sequence)
    return lines


def _disordered(name: str, pod: PodHistory, events: Mapping[str, Said]) -> list[str]:
    return [
        f"{name} heard {before} and then {after} of {line}"
        for line, numbers in _lines(pod, events).items()
        for before, after in pairwise(numbers)
        if after <= before
    ]


def _not_declared(name: str, pod: PodHistory, said: Sequence[Said]) -> list[str]:
    """Find what was not heard though nobody had said that it might not be."""
    heard = {hearing.id for hearing in pod.heard}
    return [
        f"{name} did not hear {event.id}, called {event.outcomes}, taken at {event.taken}"
        for event in said
        if event.sender != name
        and event.id not in heard
        and (Scope.CLUSTER in event.outcomes or Scope.QUEUED in event.outcomes)
        and not all(_inside(at, [*pod.gaps, *_absences(pod, event)]) for at in event.taken)
    ]


def _absences(pod: PodHistory, event: Said) -> Sequence[Gap]:
    return () if event.room is None else pod.absences.get(event.room, ())


def _inside(at: float, gaps: Sequence[Gap]) -> bool:
    return any(gap.begin <= at <= gap.end for gap in gaps)


def _miscounted(name: str, pod: PodHistory, said: Sequence[Said]) -> list[str]:
    own = [event for event in said if event.sender == name]
    local = sum(Scope.LOCAL in event.outcomes for event in own)
    vanished = sum(Scope.QUEUED in event.outcomes and not event.taken for event in own)
    wrong = []
    if pod.lost != local + pod.expired:
        wrong.append(f"{name} counts {pod.lost} lost, called {local} local, {pod.expired} expired")
    if vanished > pod.expired:
        wrong.append(f"{name} called {vanished} queued that never went, {pod.expired} expired")
    return wrong


def _wrongly_missed(name: str, pod: PodHistory, events: Mapping[str, Said]) -> list[str]:
    """Compare with the holes that can be seen from what came, and with all that never came.

    What a broker that hung has delivered after all was taken for lost, by its sender too.
    """
    lines = _lines(pod, events, visits=True).values()
    seen = sum(max(numbers) - min(numbers) + 1 - len(set(numbers)) for numbers in lines)
    heard = {hearing.id for hearing in pod.heard}
    never = sum(
        event.sender != name
        and (event.id not in heard or Scope.LOCAL in event.outcomes)
        and Scope.REJECTED not in event.outcomes
        for event in events.values()
    )
    if not seen <= pod.missed <= never:
        return [f"{name} counts {pod.missed} as missed, of {seen} to {never}"]
    return []
