"""One answer for all pods, which Prometheus reads as it reads those of each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deployd.tools.arbiter.all_metrics import merged

VALUES = st.text(st.characters(codec="utf-8"), max_size=12)


def exposed(label: str, amount: int) -> str:
    registry = CollectorRegistry()
    Counter("said", "What was said.", ["by"], registry=registry).labels(label).inc(amount)
    Gauge("there", "Who is there.", registry=registry).set(amount)
    Histogram("took", 'How long, "about".', ["by"], registry=registry).labels(label).observe(amount)
    return generate_latest(registry).decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(st.lists(st.tuples(VALUES, st.integers(0, 10**6)), min_size=1, max_size=4))
def test_each_series_of_each_pod_is_there_once_and_named(said: list[tuple[str, int]]) -> None:
    texts = {f"pod-{n}": exposed(label, amount) for n, (label, amount) in enumerate(said)}
    together = merged(texts)
    expected = {
        (name, labels | {("pod_name", pod)}): value
        for pod, text in texts.items()
        for (name, labels), value in samples(text).items()
    }
    assert samples(together) == expected


def test_a_family_is_told_once_whichever_pod_has_it() -> None:
    one, two = exposed("a", 1), exposed("b", 2)
    lines = merged(
        {"one": one, "two": two, "three": "# HELP only Here.\n# TYPE only gauge\nonly 1\n"}
    )
    heads = [line for line in lines.split("\n") if line.startswith("#")]
    assert len(heads) == len(set(heads)) == 2 * len({line.split()[2] for line in heads})
    assert 'only{pod_name="three"} 1' in lines
    kinds = {family.name: family.type for family in text_string_to_metric_families(lines)}
    assert (kinds["said"], kinds["there"], kinds["took"]) == ("counter", "gauge", "histogram")


def test_nothing_of_nobody() -> None:
    assert merged({}) == ""
