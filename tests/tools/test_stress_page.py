"""The page that `deployd stress --html` writes: what its plots say, and that they can be read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployd.tools.stress import Plan, Tally, html_report
from deployd.tools.stress.plot import LEAST_GAP, Tick, decades, plot, times

ENDED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def page_of(tally: Tally, url: str = "ws://a") -> str:
    return html_report(Plan(url), tally, ENDED)


def drawn(page: str, kind: str) -> list[str]:
    return re.findall(rf'<path class="{kind}" d="([^"]*)"', page)


def words(ticks: list[Tick]) -> list[str]:
    return [tick.word for tick in ticks]


def test_a_page_escapes_what_it_shows_and_needs_nothing_else() -> None:
    tally = Tally(wanted=1)
    tally.failed("<script>alert(1)</script>")
    tally.heard(0, 0.002)
    page = page_of(tally, "ws://<b>")
    assert "<script>" not in page
    assert "<b>" not in page
    assert page.count("<svg") == 3
    assert "http" not in page.replace("&lt;", "")
    assert "2026-01-02 03:04:05 UTC" in page


def test_a_test_that_delivered_nothing_says_so_instead_of_plotting() -> None:
    page = page_of(Tally(wanted=1))
    assert "<svg" not in page
    assert "Nothing was delivered" in page


def test_a_second_without_a_delivery_is_a_gap_and_no_latency_of_nothing() -> None:
    tally = Tally()
    for second in (0, 1, 3):
        tally.heard(second, 0.004)
    page = page_of(tally)
    for kind in ("first", "second"):
        [line] = drawn(page, kind)
        assert line.count("M") == 2
        assert line.endswith("H100.00")
    [deliveries, _] = drawn(page, "area")
    assert deliveries.count("M") == 1
    assert "V100.00H75.00" in deliveries


def test_a_test_of_one_second_is_a_line_and_no_dot() -> None:
    tally = Tally()
    tally.heard(0, 0.004)
    assert all(
        "H100.00" in line for kind in ("first", "area") for line in drawn(page_of(tally), kind)
    )


def test_a_day_is_drawn_in_few_steps_that_hide_no_bad_second() -> None:
    tally = Tally()
    for second in range(86_400):
        tally.heard(second, 2.0 if second == 40_000 else 0.002)
    page = page_of(tally)
    assert len(page) < 50_000
    assert "the worst second of each 288" in page
    assert "Latency, milliseconds" in page
    assert "at most 2,000" in page


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (1, ["0 s", "1 s"]),
        (30, ["0 s", "10 s", "20 s", "30 s"]),
        (45, ["0 s", "10 s", "20 s", "30 s", "40 s"]),
        (600, ["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"]),
        (86_400, ["0 h", "6 h", "12 h", "18 h", "24 h"]),
    ],
)
def test_an_axis_of_time_has_round_ticks_with_units(seconds: int, ticks: list[str]) -> None:
    assert words(times(seconds)) == ticks


@given(st.floats(1e-5, 100), st.floats(1.05, 1e6))
def test_a_logarithmic_axis_has_a_few_ticks_in_order(shortest: float, times_longer: float) -> None:
    ticks = decades(shortest, shortest * times_longer)
    assert 2 <= len(ticks) <= 6
    assert all(0 <= tick.at <= 1.0001 for tick in ticks)
    gaps = [after.at - before.at for before, after in pairwise(ticks)]
    assert min(gaps) >= LEAST_GAP * 0.999
    assert all(word.endswith(" s") for word in words(ticks)) or "ms" in "".join(words(ticks))


@given(st.lists(st.none() | st.floats(0, 1e12), min_size=1, max_size=50))
@example([1e-320])
def test_no_line_leaves_its_plot(values: list[float | None]) -> None:
    for line in drawn(plot("a", "b", {"a": values}, []), "area"):
        assert all(0 <= float(number) <= 100 for number in re.findall(r"[\d.]+", line))
