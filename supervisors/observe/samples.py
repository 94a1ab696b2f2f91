"""The figures of the last minute: a sample a second, how fast counts move, quantiles of histograms.

Pure, the clock passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen

from ...transport import JSON

__all__ = ["QUANTILES", "WINDOWS", "Sample", "Samples", "quantile", "summary"]

WINDOWS: Final = (1, 10, 60)
"""Seconds that rates are told for."""

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

_KEPT: Final = WINDOWS[-1] + 1
_TARDY: Final = 0.5
"""Seconds that samples may come late together before a window takes one less of them in."""


@frozen
class Sample:
    """Counts since the start, as they stood at a moment (seconds of a steady clock).

    `histograms` are the counts of each histogram's buckets.
    """

    at: float
    counts: Mapping[str, float] = field(factory=dict)
    histograms: Mapping[str, Sequence[int]] = field(factory=dict)


class Samples:
    """The samples of the last minute: 61 of them at most, whatever comes.

    Windows are those between samples: one of 10 s begins with the oldest sample that is no older
    than that, and is as long as the pod lives where that is less.
    """

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=_KEPT)

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample) -> None:
        """Take a sample in; it is not older than those before."""
        self._samples.append(sample)

    def rate(self, name: str, seconds: float) -> float:
        """Return by how much a count grew a second in the last so many; 0 with nothing to compare.

        A count that was not sampled counts as 0.
        """
        window = self._window(seconds)
        if window is None:
            return 0.0
        first, last = window
        grown = last.counts.get(name, 0) - first.counts.get(name, 0)
        return max(0.0, grown / (last.at - first.at))

    def grown(self, name: str, seconds: float) -> int:
        """Return by how much a count grew in the last so many seconds; 0 with nothing to see."""
        window = self._window(seconds)
        if window is None:
            return 0
        first, last = window
        return max(0, int(last.counts.get(name, 0) - first.counts.get(name, 0)))

    def last(self, name: str) -> float:
        """Return what a count was when it was last looked at; 0 where it never was."""
        return self._samples[-1].counts.get(name, 0) if self._samples else 0

    def rates(self, name: str) -> dict[str, JSON]:
        """Return the rate of each of `WINDOWS`, by its seconds."""
        return {str(seconds): round(self.rate(name, seconds), 3) for seconds in WINDOWS}

    def observed(self, name: str, seconds: float = WINDOWS[-1]) -> list[int]:
        """Return what each bucket of a histogram has counted in the last so many seconds."""
        window = self._window(seconds)
        if window is None:
            return []
        first, last = window
        now = last.histograms.get(name, ())
        before = first.histograms.get(name, (0,) * len(now))
        return [a - b for a, b in zip(now, before, strict=True)]

    def _window(self, seconds: float) -> tuple[Sample, Sample] | None:
        if not self._samples:
            return None
        last = self._samples[-1]
        first = next(s for s in self._samples if s.at >= last.at - seconds - _TARDY)
        if first is last and len(self._samples) > 1:  # a pause in which nothing was sampled
            first = self._samples[-2]
        return None if first.at >= last.at else (first, last)


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return the value that a share (0 to 1) of what was counted does not exceed, or None for none.

    `counts` are those of the buckets up to each of `bounds`, and one more for all above, of which
    nothing is known but the last bound. Linear within a bucket. Source: Prometheus,
    `histogram_quantile`.
    """
    rank = share * sum(counts)
    if not sum(counts):
        return None
    below, lower = 0, min(0.0, bounds[0])
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * max(0.0, rank - below) / count
        below, lower = below + count, bound
    return float(bounds[-1])


def summary(bounds: Sequence[float], counts: Sequence[int]) -> dict[str, float | int | None]:
    """Return how many values there are, and their quantiles."""
    found = {name: quantile(bounds, counts, share) for name, share in QUANTILES.items()}
    return {"count": sum(counts), **found}
