"""What a run came to, in figures: counted in its history, and what became of each fault. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

from attrs import frozen

from .history import (
    EVERYBODY,
    Dropped,
    Mended,
    Record,
    Struck,
)
from .rules import Violation, false_receipts, holes
from .seen import IN_TIME, Seen
from .spans import Span, spans

__all__ = ["FaultWindow", "Measures", "measure"]

Phase: TypeAlias = Literal["before", "during", "after"]
PHASES: Final[tuple[Phase, ...]] = ("before", "during", "after")


@frozen
class FaultWindow:
    """A fault: when it began and ended, and the seconds until it was noticed, told, and all well.

    None is for what did not come about, or was so already when it began, or was not over when the
    next began. All is well from the end of the fault on, or from when it was noticed if that was
    later.
    """

    step: str
    fault: str
    begin: float
    end: float
    detected: float | None
    told: float | None
    healed: float | None


@frozen
class LocalLatency:
    """Seconds until words reached others on the same pod: half of them, and 99 of 100."""

    p50: float
    p99: float


@frozen
class Measures:
    """The figures. `detected`, `told` and `healed` are the longest of its faults' (seconds).

    `here` are the words heard on the pod on which they were said, by the speaker too; `elsewhere`
    all others. `declared` are words missed of which who missed them was told, at most `told_after`
    seconds after it could be; `noticed` is whether anybody noticed anything while it lasted.
    """

    sent: int
    here: int
    elsewhere: int
    declared: int
    undeclared: int
    duplicated: int
    reordered: int
    false_receipts: int
    clients_dropped: int
    noticed: bool
    told_after: float | None
    detected: float | None
    told: float | None
    healed: float | None
    local: dict[Phase, LocalLatency]
    windows: tuple[FaultWindow, ...]


def measure(
    history: Sequence[Record], violations: Sequence[Violation], slack: float = 0.0
) -> Measures:
    """Count what a history has; `violations` are what it was found to break."""
    seen = Seen(history, slack)
    broken = Counter(violation.rule for violation in violations)
    words = [(stay, seen.said.get((each.speaker, each.number))) for stay, each in seen.heard]
    here = sum(said is not None and said.pod == stay.pod for stay, said in words)
    missed = list(holes(seen))
    after = [
        max(0.0, declared - seen.due(said, stay) + IN_TIME)
        for said, stay, declared in missed
        if declared is not None
    ]
    troubled = list(spans(history))
    windows = tuple(_windows(history, troubled))
    return Measures(
        sent=len(seen.said),
        here=here,
        elsewhere=len(words) - here,
        declared=len(after),
        undeclared=len(missed) - len(after),
        duplicated=broken["duplicate"],
        reordered=broken["order"],
        false_receipts=len(false_receipts(seen)),
        # Who floods on is cut off as often as it comes back before that is over.
        clients_dropped=len({_guest(one.client) for one in history if isinstance(one, Dropped)}),
        noticed=any(one.begin >= windows[0].begin for one in troubled) if windows else False,
        told_after=max(after, default=None),
        detected=_longest(window.detected for window in windows),
        told=_longest(window.told for window in windows),
        healed=_longest(window.healed for window in windows),
        local=_local(seen, windows),
        windows=windows,
    )


# What became of each fault -------------------------------------------------------------------


def _windows(history: Sequence[Record], troubled: Sequence[Span]) -> Iterator[FaultWindow]:
    faults = list(_faults(history))
    for number, (struck, end) in enumerate(faults):
        later = [other.at for other, _ in faults if other.at > struck.at]
        others = [each for place, each in enumerate(faults) if place != number]
        yield _window(struck, end, min(later, default=math.inf), others, troubled)


def _faults(history: Sequence[Record]) -> Iterator[tuple[Struck, float]]:
    end = history[-1].at if history else 0.0
    for place, record in enumerate(history):
        if isinstance(record, Struck):
            ends = (
                each.at
                for each in history[place:]
                if isinstance(each, Mended) and each.step == record.step
            )
            yield record, next(ends, end)


def _window(
    struck: Struck,
    end: float,
    following: float,
    others: Sequence[tuple[Struck, float]],
    troubled: Sequence[Span],
) -> FaultWindow:
    begin = struck.at
    # Later begins are another fault's to explain, if there is one.
    mine = [span for span in troubled if begin <= span.begin < following]
    known = any(span.begin < begin < span.end for span in troubled)
    noticed = None if known else min((span.begin for span in mine), default=None)
    told = None if known else min((span.begin for span in mine if span.told), default=None)
    return FaultWindow(
        struck.step,
        struck.fault,
        begin,
        end,
        None if noticed is None else noticed - begin,
        None if told is None else told - begin,
        _healed(begin, end, others, troubled),
    )


def _healed(
    begin: float,
    end: float,
    others: Sequence[tuple[Struck, float]],
    troubled: Sequence[Span],
) -> float | None:
    if any(other.at <= end < over for other, over in others):
        return None  # something else is still wrong
    following = min((other.at for other, _ in others if other.at > end), default=math.inf)
    spans = [span for span in troubled if span.begin < following and span.end >= begin]
    if not spans:
        return None  # nobody has noticed
    well = max(span.end for span in spans)
    if well >= following:
        return None
    after = [span.begin for span in spans if span.end > end]
    return max(0.0, well - max(end, min(after, default=end)))


def _longest(seconds: Iterator[float | None]) -> float | None:
    return max((each for each in seconds if each is not None), default=None)


# How long words took on their own pod --------------------------------------------------------


def _local(seen: Seen, windows: Sequence[FaultWindow]) -> dict[Phase, LocalLatency]:
    """Return how long words took to reach others on the same pod, but where that was asleep.

    What is said before one's join is acknowledged waits for that, and is not counted.
    """
    joined = {(stay.client, stay.room): stay.begin for stay in reversed(seen.stays)}
    took: dict[Phase, list[float]] = {phase: [] for phase in PHASES}
    for stay, heard in seen.heard:
        said = seen.said.get((heard.speaker, heard.number))
        if said is None or said.pod != stay.pod or said.client == stay.client:
            continue
        if said.room != EVERYBODY and said.at < joined.get((said.client, said.room), math.inf):
            continue
        if not any(begin < heard.at and said.at < end for begin, end in seen.pauses[stay.pod]):
            took[_phase(said.at, windows)].append(heard.at - said.at)
    return {
        phase: LocalLatency(_share(sorted(all_), 0.5), _share(sorted(all_), 0.99))
        for phase, all_ in took.items()
        if all_
    }


def _phase(at: float, windows: Sequence[FaultWindow]) -> Phase:
    """Say whether something was said before the first fault, after the last, or meanwhile."""
    if not windows or at < windows[0].begin:
        return "before"
    return "after" if at >= max(window.end for window in windows) else "during"


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _guest(visit: str) -> str:
    """Return which client a visit was of: `client0` of `client0.2`."""
    return visit.partition(".")[0]
