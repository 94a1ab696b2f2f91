"""What listeners of a collection must have heard, given what was written: pure.

A write is known by its document, its type and the number that its writer put into the document:
no two writes of a history are the same `Step`. `began` and `answered` are ticks of one clock: a
write that was answered before another began was committed before it, and must be heard before it.
That holds within a document, whose writer waits for each answer, and across documents.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

__all__ = ["Step", "Verdict", "Written", "check", "merged"]


@frozen
class Step:
    """One change: for `deleted`, `number` is that of the document as it was."""

    document: str
    type: str
    number: int


@frozen
class Written:
    """A write, and when. One that was never answered may have been done or not."""

    step: Step
    began: float
    answered: float = math.inf

    @property
    def certain(self) -> bool:
        return self.answered < math.inf


@frozen
class Verdict:
    """What is wrong with what one listener heard; nothing when it is all empty."""

    missing: tuple[Step, ...] = ()
    duplicate: tuple[Step, ...] = ()
    invented: tuple[Step, ...] = ()
    disordered: tuple[Step, ...] = ()


def check(writes: Iterable[Written], heard: Sequence[Step]) -> Verdict:
    """Judge what one listener heard of these writes."""
    known = {write.step: write for write in writes}
    times = Counter(heard)
    return Verdict(
        missing=tuple(s for s, write in known.items() if write.certain and s not in times),
        duplicate=tuple(step for step, count in times.items() if count > 1),
        invented=tuple(step for step in times if step not in known),
        disordered=tuple(_disordered(known, list(times))),
    )


def merged(verdicts: Iterable[Verdict]) -> Verdict:
    """Return all that was wrong for several listeners as one verdict."""
    all_ = list(verdicts)
    return Verdict(
        missing=tuple(step for verdict in all_ for step in verdict.missing),
        duplicate=tuple(step for verdict in all_ for step in verdict.duplicate),
        invented=tuple(step for verdict in all_ for step in verdict.invented),
        disordered=tuple(step for verdict in all_ for step in verdict.disordered),
    )


def _disordered(known: Mapping[Step, Written], heard: Sequence[Step]) -> Iterable[Step]:
    """Find what was heard before something that had been answered before it began."""
    answered_later = math.inf
    for write in (known[step] for step in reversed(heard) if step in known):
        if answered_later < write.began:
            yield write.step
        answered_later = min(answered_later, write.answered)
