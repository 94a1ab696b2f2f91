"""Clients read of an outage what pods have written of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport.protocols import (
    DEGRADED,
    HEALED,
    Degraded,
    Gap,
    Healed,
    OutageCode,
    read_outage,
)

OF_PODS = [code for code in OutageCode if code is not OutageCode.MISSED]
times = st.integers(0, 2**31).map(lambda ms: ms / 1000)
counts = st.integers(0, 1_000)


@given(st.sampled_from(OF_PODS), times, st.text(), counts)
def test_the_beginning_of_an_outage(code: OutageCode, since: float, detail: str, n: int) -> None:
    missing = n if code is OutageCode.PARTITIONED else 0
    told = Degraded(code, since, detail, missing)
    assert read_outage(DEGRADED, told.to_json(root=True)) == told
    assert read_outage(DEGRADED, told.to_json()) == Degraded(code, since, "", missing)


@given(times, times, counts, counts, counts, st.sampled_from(OF_PODS), counts, counts)
def test_its_end(
    since: float, seconds: float, lost: int, replayed: int, missed: int, code: OutageCode,
    given_up: int, unheard: int,
) -> None:  # fmt: skip
    told = Healed(since, seconds, lost, replayed, missed, code, given_up, unheard)
    assert read_outage(HEALED, told.to_json()) == told


@given(st.none() | st.text(), counts, times, times)
def test_a_gap_of_a_room(room: str | None, missed: int, since: float, seconds: float) -> None:
    begun = Gap(room, missed, since)
    assert read_outage(DEGRADED, begun.to_json()) == begun
    whole = read_outage(HEALED, Gap(room, missed, since, since + seconds).to_json())
    assert isinstance(whole, Gap)
    assert whole.whole_at == pytest.approx(since + seconds, abs=2e-3)


@pytest.mark.parametrize(
    "data",
    [None, 1, {}, {"code": "new"}, {"code": "cut_off"}, {"code": "cut_off", "since": "now"},
     {"code": "missed", "since": 1.0, "missed": "2"}],
)  # fmt: skip
def test_what_is_not_understood_stays_an_event(data: object) -> None:
    assert read_outage(DEGRADED, data) is None  # type: ignore[arg-type]


def test_another_event_is_no_word_of_an_outage() -> None:
    assert read_outage("said", Degraded(OutageCode.CUT_OFF, 1.0).to_json()) is None
