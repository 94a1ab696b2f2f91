"""The last hour of a pod, so that a page that is opened now has a past: pure, the clock passed in.

Two things are kept: points, one each ten seconds, and episodes, which are what was wrong from when
until when, and what happened in a moment (a start, a pod that came or went).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve, field, frozen

from ...transport import JSON

__all__ = ["EVERY", "Ailment", "Episode", "Neighbour", "Past"]

SPAN: Final = 3600.0
"""Seconds that are kept."""
EVERY: Final = 10.0
"""Seconds between two points."""
MOST_EPISODES: Final = 200
"""That are over; of more the oldest are forgotten."""
MOST_AILMENTS: Final = 20
"""That are told at a time: the worst."""
MOST_MOMENTS: Final = 10
"""That are noted at a time: of a hundred pods that go at once, ten are shown."""


@frozen
class Ailment:
    """Something that is wrong now. `key` tells it from others; `runbook` is where help stands.

    `since` is unix seconds, or None where nobody knows better than when it was first seen. `cost`
    counts by name what it came to so far; where that is of a window alone, `counters` are those
    that it is read off, and what it came to since it was first seen is added up.
    """

    key: str
    runbook: str
    sentence: str
    since: float | None = None
    cost: Mapping[str, float] = field(factory=dict)
    counters: Mapping[str, float] = field(factory=dict)


@frozen
class Episode:
    """What was wrong, or is while `until` is None; a moment where that is `at`. Unix seconds.

    `began_with` is what the ailment's counters were before it.
    """

    key: str
    runbook: str
    sentence: str
    at: float
    until: float | None = None
    cost: Mapping[str, float] = field(factory=dict)
    began_with: Mapping[str, float] = field(factory=dict)

    def to_json(self) -> JSON:
        """Return what root is shown."""
        return {
            "key": self.key,
            "runbook": self.runbook,
            "sentence": self.sentence,
            "at": round(self.at, 3),
            "until": None if self.until is None else round(self.until, 3),
            "cost": {name: count for name, count in self.cost.items() if count},
        }


@frozen
class Neighbour:
    """Another pod, as it is called and as what it runs."""

    called: str
    version: str


class Past:
    """Remembers an hour. `now` is unix seconds; a clock that is set back leaves a short gap."""

    def __init__(self, names: Sequence[str]) -> None:
        """Remember points of these figures."""
        self._names = tuple(names)
        self._points: deque[tuple[float, tuple[float | None, ...]]] = deque(
            maxlen=int(SPAN / EVERY)
        )
        self._over: deque[Episode] = deque(maxlen=MOST_EPISODES)
        self._going_on: dict[str, Episode] = {}
        self._pods: Mapping[str, Neighbour] | None = None

    @property
    def wrong(self) -> Sequence[Episode]:
        """What is wrong now, the worst first."""
        return tuple(self._going_on.values())

    def look(self, ailments: Iterable[Ailment], now: float) -> None:
        """Take what is wrong, the worst first; what is not among it any more is over."""
        going_on: dict[str, Episode] = {}
        for one in ailments:
            if len(going_on) == MOST_AILMENTS:
                break
            before = self._going_on.pop(one.key, None)
            at = one.since
            if at is None:
                at = now if before is None else before.at
            base = {name: count - one.cost.get(name, 0) for name, count in one.counters.items()}
            base = base if before is None else {**base, **before.began_with}
            cost = {**one.cost, **{name: one.counters[name] - base[name] for name in one.counters}}
            going_on[one.key] = Episode(
                one.key, one.runbook, one.sentence, at, cost=cost, began_with=base
            )
        for ended in self._going_on.values():
            self._over.append(evolve(ended, until=max(ended.at, now)))
        self._going_on = going_on

    def moment(self, key: str, sentence: str, now: float) -> None:
        """Note what happened at a moment."""
        self._over.append(Episode(key, "", sentence, now, now))

    def pods(self, heard: Mapping[str, Neighbour], now: float) -> None:
        """Note which other pods are heard, by their ids: who has come, and who has gone."""
        before, self._pods = self._pods, heard
        if before is None or before == heard:
            return
        came = [pod for pod in heard if pod not in before]
        gone = [pod for pod in before if pod not in heard]
        for pod in came[:MOST_MOMENTS]:
            version = heard[pod].version
            self.moment("came", f"Pod {heard[pod].called} is heard (deployd {version}).", now)
        for pod in gone[:MOST_MOMENTS]:
            self.moment("gone", f"Pod {before[pod].called} is not heard any more.", now)

    def due(self, now: float) -> bool:
        """Whether it is time for a point."""
        return not self._points or not 0 <= now - self._points[-1][0] < EVERY - 0.5

    def add(self, figures: Mapping[str, float | None], now: float) -> None:
        """Add a point."""
        self._points.append((now, tuple(figures.get(name) for name in self._names)))

    def to_json(self, now: float) -> dict[str, JSON]:
        """Return the last hour: points by their names, and episodes, oldest first."""
        begins = now - SPAN
        episodes = [
            *(one for one in self._over if one.until is None or one.until >= begins),
            *self._going_on.values(),
        ]
        episodes.sort(key=lambda one: one.at)
        return {
            "at": round(now, 3),
            "span": SPAN,
            "every": EVERY,
            "names": list(self._names),
            "points": [
                [round(at, 1), *(None if v is None else round(v, 6) for v in values)]
                for at, values in self._points
                if at >= begins
            ],
            "episodes": [one.to_json() for one in episodes],
        }
