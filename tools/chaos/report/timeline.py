"""Makes a timeline of the records of a run, whoever wrote them. Pure."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import evolve

from ...oracle import (
    Began,
    Entered,
    Gone,
    Linked,
    Mended,
    Paused,
    Record,
    Resumed,
    Spoken,
    Struck,
    Told,
)
from ...oracle.rules import holes
from ...oracle.seen import Seen, Stay
from .moments import Band, BandKind, FaultSpan, HoleMark, Timeline

__all__ = ["MOST_BINS", "NO_WORDS", "timeline"]

MOST_BINS: Final = 120
"""Bins of a timeline: on a telephone one is two pixels wide."""
MOST_BANDS: Final = 500
"""Bands that are kept, the first ones: what flaps more often is seen to flap."""
STEPS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds that a bin may last."""
ALONE: Final = frozenset({"starting", "cut_off"})
"""Codes of `system:degraded` that are of a pod's link to its broker."""
NARROW: Final = 0.05
"""Seconds between two bands of one state that are told apart."""

NO_WORDS: Final[Mapping[str, str]] = MappingProxyType({})
_Hole: TypeAlias = tuple[Spoken, Stay, float | None]


def timeline(
    history: Sequence[Record],
    faults: Sequence[FaultSpan] = (),
    steps: Mapping[str, str] = NO_WORDS,
) -> Timeline:
    """Put what was seen of a run into bins, bands and marks.

    `faults` are those of which the history itself does not tell, by `Struck` and `Mended`; `steps`
    say in words what the others are, by their steps.
    """
    seen = Seen(history)
    seconds = max(seen.end, 0.001)
    step = next((step for step in STEPS if seconds / step <= MOST_BINS), seconds / MOST_BINS)
    size = math.ceil(seconds / step)
    here, elsewhere = [0] * size, [0] * size
    for stay, heard in seen.heard:
        said = seen.said.get((heard.speaker, heard.number))
        if said is not None:
            bins = here if said.pod == stay.pod else elsewhere
            bins[_bin(heard.at, step, size)] += 1
    bands = [*_told(history), *_said_by_pods(history), *_lives(history)]
    windows = [*faults, *_struck(history, steps)]
    return Timeline(
        seconds=seconds,
        step=step,
        here=tuple(here),
        elsewhere=tuple(elsewhere),
        pods=1 + max(_pods(history), default=-1),
        faults=tuple(sorted(windows, key=lambda fault: fault.begin)),
        bands=tuple(_joined(bands)[:MOST_BANDS]),
        holes=tuple(_marks(holes(seen), step, size)),
    )


def _pods(history: Sequence[Record]) -> Iterator[int]:
    return (record.pod for record in history if isinstance(record, Entered | Began))


def _bin(at: float, step: float, size: int) -> int:
    return max(0, min(size - 1, int(at / step)))


def _struck(history: Sequence[Record], steps: Mapping[str, str]) -> Iterator[FaultSpan]:
    """Yield what went wrong and when; of two steps of one name the first to begin ends first."""
    ends: dict[str, deque[float]] = defaultdict(deque)
    for record in history:
        if isinstance(record, Mended):
            ends[record.step].append(record.at)
    for record in history:
        if isinstance(record, Struck):
            over = ends[record.step]
            end = over.popleft() if over else history[-1].at
            words = steps.get(record.step, record.fault)
            yield FaultSpan(record.at, max(record.at, end), record.fault, words)


# Holes ----------------------------------------------------------------------------------------


def _marks(lost: Iterator[_Hole], step: float, size: int) -> Iterator[HoleMark]:
    groups: dict[tuple[int, bool], list[_Hole]] = defaultdict(list)
    for hole in lost:
        said, _, told = hole
        groups[_bin(said.at, step, size), told is None].append(hole)
    for _, group in sorted(groups.items()):
        times = [said.at for said, _, _ in group]
        yield HoleMark(
            begin=min(times),
            end=max(times),
            told=max((told for _, _, told in group if told is not None), default=None),
            missed=len(group),
            clients=len({stay.client for _, stay, _ in group}),
            rooms=tuple(sorted({said.room for said, _, _ in group})),
        )


# Bands ----------------------------------------------------------------------------------------


def _told(history: Sequence[Record]) -> Iterator[Band]:
    """Yield from when to when a client knew that something is wrong with its pod."""
    pods: dict[str, int] = {}
    since: dict[tuple[str, BandKind], Band] = {}
    for record in history:
        match record:
            case Entered():
                pods[record.client] = record.pod
            case Told(room=None, until=None, code=code):
                kind = BandKind.BREAKER if code in ALONE else BandKind.MEMBERSHIP
                pod = pods.get(record.client, 0)
                since[record.client, kind] = Band(kind, pod, record.at, record.at, code)
            case Gone(room=None) | Told(room=None):
                yield from _over(record, since)
    end = history[-1].at if history else 0.0
    yield from (evolve(band, end=end) for band in since.values())


def _over(record: Gone | Told, since: dict[tuple[str, BandKind], Band]) -> Iterator[Band]:
    """Yield what ends for a client with this.

    An outage of the link takes in what was told of pods that were missing, and ends it too.
    """
    kinds = [BandKind.BREAKER, BandKind.MEMBERSHIP]
    if isinstance(record, Told) and record.code not in ALONE:
        kinds = [BandKind.MEMBERSHIP]
    for kind in kinds:
        band = since.pop((record.client, kind), None)
        if band is not None:
            yield evolve(band, end=record.at)


def _said_by_pods(history: Sequence[Record]) -> Iterator[Band]:
    """Yield what pods said of themselves, each until it says something else."""
    others = len({record.pod for record in history if isinstance(record, Began)}) - 1
    end = history[-1].at if history else 0.0
    by_pod: dict[int, list[Linked]] = defaultdict(list)
    for record in history:
        if isinstance(record, Linked):
            by_pod[record.pod].append(record)
    for pod, said in by_pod.items():
        for now, then in pairwise([*said, Linked(end, *said[-1][1:])]):
            if now.link == "ended":
                yield Band(BandKind.LIFE, pod, now.at, then.at, "down", sampled=True)
            elif now.link != "closed":
                yield Band(BandKind.BREAKER, pod, now.at, then.at, now.link, sampled=True)
            elif now.peers < others:
                state = f"hears {now.peers} of {others}"
                yield Band(BandKind.MEMBERSHIP, pod, now.at, then.at, state, sampled=True)


def _lives(history: Sequence[Record]) -> Iterator[Band]:
    """Yield when a pod did nothing, and when there was none: from its last client's end on."""
    pods: dict[str, int] = {}
    gone: dict[int, float] = {}
    paused: dict[int, float] = {}
    for record in history:
        match record:
            case Entered() | Spoken():
                pods[record.client] = record.pod
            case Gone(room=None) if record.client in pods:
                gone[pods[record.client]] = record.at
            case Paused():
                paused[record.pod] = record.at
            case Resumed() if record.pod in paused:
                yield Band(BandKind.LIFE, record.pod, paused.pop(record.pod), record.at, "paused")
            case Began() if record.pod in gone:
                yield Band(BandKind.LIFE, record.pod, gone.pop(record.pod), record.at, "down")
    end = history[-1].at if history else 0.0
    yield from (Band(BandKind.LIFE, pod, at, end, "paused") for pod, at in paused.items())


def _joined(bands: Sequence[Band]) -> list[Band]:
    """Make one of those of one pod and state that touch: each of its clients was told."""
    joined: list[Band] = []
    last: dict[tuple[object, ...], int] = {}
    for band in sorted(bands, key=lambda band: (band.begin, band.pod, band.kind)):
        key = band.kind, band.pod, band.state, band.sampled
        at = last.get(key)
        if at is not None and band.begin <= joined[at].end + NARROW:
            joined[at] = evolve(joined[at], end=max(joined[at].end, band.end))
        else:
            last[key] = len(joined)
            joined.append(band)
    return joined
