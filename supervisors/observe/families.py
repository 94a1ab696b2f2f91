"""Families of metrics as prometheus-client has them, made of plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from ...transport import Histogram

__all__ = ["born", "counter", "counters", "gauge", "gauges", "histogram"]


def born(labels: Iterable[str], counts: Mapping[str, float]) -> dict[str, float]:
    """Return counts, with 0 for what has not happened yet."""
    return dict.fromkeys(labels, 0.0) | dict(counts)


def gauge(name: str, about: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, about, value=float(value))


def counter(name: str, about: str, value: float) -> Metric:
    """Return a counter without labels."""
    return CounterMetricFamily(name, about, value=value)


def gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with one label, and its values by that."""
    return _labelled(GaugeMetricFamily(name, about, labels=[label]), values.items())


def counters(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a counter with one label, and its values by that."""
    return _labelled(CounterMetricFamily(name, about, labels=[label]), values.items())


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Iterable[tuple[str, float]]
) -> Metric:
    for label, value in values:
        family.add_metric([label], value)
    return family


def histogram(name: str, about: str, histogram: Histogram) -> Metric:
    """Return a histogram."""
    bounds = [*(f"{float(bound)}" for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(name, about, buckets=buckets, sum_value=histogram.sum)
