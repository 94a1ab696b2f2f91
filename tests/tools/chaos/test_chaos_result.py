"""What a run was, as JSON and back: nothing is lost, and nothing else gets in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.tools.chaos.report import (
    BadResult,
    Result,
    ScenarioVerdict,
    load,
    merged,
    parsed,
    written,
)
from support.chaos_results import ALL_WELL, BROKEN, FAILED, RESULT, RUN, SKIPPED

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.floats(0, 1e6)
counts = st.integers(0, 2**53)
scenarios = st.sampled_from([ALL_WELL, FAILED, SKIPPED, BROKEN]).flatmap(
    lambda each: st.builds(
        evolve,
        st.just(each),
        name=texts,
        title=texts,
        reason=texts,
        verdict=st.sampled_from(ScenarioVerdict),
        catalogue=st.lists(counts, max_size=3).map(tuple),
        seed=counts,
        seconds=numbers,
        measures=st.none() | st.just(each.measures),
        timeline=st.none() | st.just(each.timeline),
    )
)
runs = st.builds(
    evolve,
    st.just(RUN),
    system=texts,
    machine=texts,
    simulated=st.booleans(),
    began=st.datetimes(datetime(1970, 1, 2), timezones=st.just(UTC)),
    scenarios=st.lists(scenarios, max_size=3).map(tuple),
)


@given(st.lists(runs, max_size=2))
@settings(max_examples=50)
def test_a_result_comes_back_as_it_was(some: list[Any]) -> None:
    result = Result(tuple(some))
    assert parsed(written(result)) == result


def changed(*path: object, to: object) -> bytes:
    document = orjson.loads(written(RESULT))
    *way, last = path
    inner: Any = document
    for step in way:
        inner = inner[step]
    inner[last] = to
    return orjson.dumps(document)


MEASURES = ("runs", 0, "scenarios", 1, "measures")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "is no JSON"),
        (b"[]", "is no result of a chaos run"),
        (b'{"runs": []}', "is no result of a chaos run"),
        (changed("version", to=2), "is of version 2; this deployd reads 1."),
        (changed(*MEASURES, "sent", to="many"), "a whole number, not 'many'"),
        (changed(*MEASURES, "sent", to=True), "a whole number, not True"),
        (changed(*MEASURES, "told", to="soon"), "told"),
        (changed(*MEASURES, "guessed", to=1), "'guessed' is no field of it"),
        (changed("runs", 0, "scenarios", 0, "verdict", to="fine"), "must be one of passed, failed"),
        (changed("runs", 0, "began", to="yesterday"), "must be a time as in ISO 8601"),
        (changed("runs", 0, "scenarios", to=7), "must be a list"),
        (changed("runs", 0, "scenarios", 0, "timeline", "step", to=0), "step"),
        (changed("runs", to=[{}]), "'system' is missing"),
    ],
)
def test_what_is_no_result_is_refused_with_a_sentence(text: bytes, sentence: str) -> None:
    with pytest.raises(BadResult) as refused:
        parsed(text, "out.json")
    assert str(refused.value).startswith("out.json")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_sentence_says_where_what_is_wrong_stands() -> None:
    with pytest.raises(BadResult, match=r"runs\[0\]\.scenarios\[1\]\.measures\.sent"):
        parsed(changed(*MEASURES, "sent", to=1.5))


def test_a_file_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(BadResult, match="cannot be read: No such file"):
        load(tmp_path / "none.json")


def test_a_result_is_good_where_something_passed_and_nothing_failed() -> None:
    def good(*scenarios: Any) -> bool:
        return Result((evolve(RUN, scenarios=scenarios),)).good

    assert good(ALL_WELL, SKIPPED)
    assert not good(ALL_WELL, FAILED)
    assert not good(ALL_WELL, BROKEN)
    assert not good(SKIPPED)
    assert not good()
    assert not Result(()).good


def test_several_results_are_merged_in_their_order() -> None:
    other = evolve(RUN, system="Socket.IO")
    both = merged([RESULT, Result((other,))])
    assert [run.system for run in both.runs] == ["deployd", "Socket.IO"]
    assert not both.good
