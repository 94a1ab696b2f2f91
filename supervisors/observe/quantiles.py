"""Quantiles of what histograms have counted: linear within a bucket, as Prometheus' are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["QUANTILES", "quantile", "summary"]

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return the value that a share (0 to 1) of what was counted does not exceed, or None for none.

    `counts` are those of the buckets up to each of `bounds`, and one more for all above, of which
    nothing is known but the last bound. Source: Prometheus, `histogram_quantile`.
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
