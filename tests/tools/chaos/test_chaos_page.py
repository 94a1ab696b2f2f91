"""The page of a report: what it says, that it needs nothing, and that no name breaks out of it."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from deployd.tools.chaos.report import (
    Band,
    BandKind,
    FaultSpan,
    HoleMark,
    Result,
    ScenarioResult,
    SystemRun,
    Timeline,
)
from deployd.tools.chaos.report.drawing import MOST_FAULTS, MOST_LANES, draw, moments
from deployd.tools.chaos.report.figures import FIGURES, value
from deployd.tools.chaos.report.page import html_page
from deployd.tools.oracle import Violation
from support.chaos_results import ALL_WELL, BROKEN, FAILED, MEASURES, RESULT, RUN, SKIPPED, TIMELINE

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "br"}


class Reader(HTMLParser):
    """Reads a page as strictly as XML, and keeps the text and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        named = dict(attrs)
        assert len(named) == len(attrs)
        assert not any(name.startswith("on") for name in named)
        self.addresses += [named[name] or "" for name in ("href", "src") if name in named]
        self.ids += [named["id"] or ""] if "id" in named else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def text_of(page: str) -> str:
    return " ".join(" ".join(read(page).texts).split())


def run_of(*scenarios: ScenarioResult) -> SystemRun:
    return evolve(RUN, scenarios=scenarios)


def test_each_figure_stands_in_the_table_and_beside_the_timeline() -> None:
    page = text_of(html_page(Result((run_of(FAILED),))))
    for fact in FIGURES:
        figure = value(MEASURES, fact)
        assert page.count(f"{figure}") >= 2, fact.name
        assert fact.words in page
    for figure in ("1,201", "2,302", "3,403", "2.68", "2.71", "0.53", "0.4 · 2.1", "0.3 · 250"):
        assert figure in page


def test_the_first_thing_that_is_read_answers_what_was_lost() -> None:
    def title(*scenarios: ScenarioResult) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", html_page(Result((run_of(*scenarios),))))
        assert found is not None
        return found[1]

    declared = evolve(ALL_WELL, measures=evolve(MEASURES, undeclared=0))
    nothing = evolve(ALL_WELL, measures=evolve(MEASURES, undeclared=0, declared=0))
    once = evolve(FAILED, measures=evolve(MEASURES, undeclared=1))
    assert title(FAILED) == "2 deliveries were lost, and nobody was told."
    assert title(once) == "1 delivery was lost, and nobody was told."
    assert title(declared) == "Nothing was lost in silence."
    assert title(nothing) == "Nothing was lost."
    assert title(SKIPPED) == "Nothing was judged."


def test_what_did_not_run_is_told_with_its_reason() -> None:
    page = text_of(html_page(RESULT))
    for scenario in (SKIPPED, BROKEN):
        assert scenario.name in page
        assert scenario.reason in page
    assert "4 scenarios: 1 passed, 1 failed, 1 not applicable, 1 not judged" in page


def test_scenarios_that_did_not_run_for_one_reason_are_told_together() -> None:
    run = run_of(ALL_WELL, SKIPPED, evolve(SKIPPED, name="another"))
    assert "not applicable : It is for RabbitMQ. 24-queue-deleted, another" in text_of(
        html_page(Result((run,)))
    )
    assert "None ran." in text_of(html_page(Result((run_of(SKIPPED),))))


def test_a_run_that_lost_nothing_and_failed_all_the_same_is_not_called_good() -> None:
    unmet = evolve(
        FAILED, measures=ALL_WELL.measures, violations=(Violation("expected", 30.0, "too late"),)
    )
    page = html_page(Result((run_of(ALL_WELL, unmet),)))
    assert '<h1 class="bad">Nothing was lost, but 1 scenario failed.</h1>' in page
    assert 'Failed: <a href="#r0-1">3-broker-frozen</a>.' in page
    many = html_page(Result((run_of(*[unmet] * 20),)))
    assert "but 20 scenarios failed" in many
    assert ", 8 more.</p>" in many


def test_what_a_scenario_may_break_is_not_told_as_a_failure() -> None:
    allowed = evolve(ALL_WELL, violations=FAILED.violations)
    assert "17 of ann" not in html_page(Result((run_of(allowed),)))


def test_scenarios_are_found_by_their_numbers_in_the_catalogue_in_order() -> None:
    run = run_of(ALL_WELL, evolve(ALL_WELL, catalogue=(3, 8)), FAILED, SKIPPED)
    shown = re.findall(r"<li><(?:a|span)[^>]*>([^<]*)<span", html_page(Result((run,))))
    assert shown == ["3", "8", "3+8", "·"]
    plain = run_of(*(evolve(each, catalogue=()) for each in (ALL_WELL, FAILED)))
    shown = re.findall(r"<li><(?:a|span)[^>]*>([^<]*)<span", html_page(Result((plain,))))
    assert shown == ["1", "2"]


def test_what_clients_had_been_told_before_is_a_dot_right_below_its_ring() -> None:
    before = evolve(TIMELINE, holes=(HoleMark(15.0, 15.0, 12.0, 1, 1, ("plain",)),))
    assert '<circle class="told" cx="50.00%"' in draw(before)
    assert "they had been told at 12.00 s" in " ".join(moments(before))


def test_a_burst_is_cut_off_where_it_would_hide_all_the_rest() -> None:
    bursting = evolve(TIMELINE, here=(4,) * 119 + (400,), elsewhere=(3,) * 120)
    drawn = draw(bursting)
    assert drawn.count('class="beyond"') == 1
    assert "20 a second, bursts up to 1,600" in drawn
    assert 'class="beyond"' not in draw(TIMELINE)
    assert "bursts" not in draw(TIMELINE)


def test_what_was_broken_is_told_first_and_how_to_have_it_again() -> None:
    page = text_of(html_page(RESULT))
    assert "17 of ann in plain never came to bob on pod 1" in page
    assert "and 41 more" in page
    assert FAILED.command in page
    assert RUN.command in page
    assert "seed 7" in page
    articles = re.findall(r'<article id="([^"]*)"', html_page(RESULT))
    assert articles == ["r0-1", "r0-0"]


def test_all_that_is_drawn_is_told_in_words_in_the_order_of_time() -> None:
    told = moments(TIMELINE)
    assert told == [
        "From 10.00 to 17.50 s: broker.freeze node 0.",
        "At 10.25 s: 31 deliveries to 4 clients in lobby, plain did not come; told at 12.71 s.",
        "At 11.00 s: 2 deliveries to 1 client in plain did not come, and nobody was told.",
        "From 12.60 to 17.90 s: pod 1: open (as the pod says).",
        "From 12.70 to 18.00 s: clients of pod 0 are told that it is cut off.",
        "From 12.80 to 18.10 s: clients of pod 1 are told that other pods are not heard.",
        "From 19.00 to 20.00 s: pod 1 is down.",
    ]
    page = text_of(html_page(RESULT))
    assert all(sentence in page for sentence in told)


def test_the_drawing_has_each_band_window_and_mark_where_it_was() -> None:
    drawn = draw(TIMELINE)
    assert '<rect class="shade" x="33.33%" y="0" width="25.00%"' in drawn
    assert '<rect class="band breaker" x="42.33%"' in drawn
    assert '<rect class="band membership" x="42.67%"' in drawn
    assert '<rect class="band down" x="63.33%"' in drawn
    assert drawn.count('class="lost"') == 1
    assert '<circle class="told" cx="42.37%"' in drawn
    assert drawn.count('class="never"') == 1
    [here] = re.findall(r'<path class="here" d="([^"]*)"', drawn)
    [elsewhere] = re.findall(r'<path class="elsewhere" d="([^"]*)"', drawn)
    assert here.startswith("M0 4V0H1")
    assert elsewhere.startswith("M0 4V1H1")
    assert "V4H41" in elsewhere  # nothing was heard of the others


def test_the_page_needs_nothing_and_may_do_nothing_but_its_own() -> None:
    page = html_page(RESULT)
    reader = read(page)
    assert reader.scripts == 1
    assert all(address.startswith(("#", "data:,")) for address in reader.addresses)
    assert {each.removeprefix("#") for each in reader.addresses if each[0] == "#"} <= set(
        reader.ids
    )
    assert len(reader.ids) == len(set(reader.ids))
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", page)
    assert "default-src 'none'" in page
    assert "url(" not in page.replace("url(#stripes)", "")


def hostile() -> Result:
    window = FaultSpan(10.0, 17.5, HOSTILE, HOSTILE)
    timeline = evolve(
        TIMELINE,
        faults=(window,),
        bands=(Band(BandKind.LIFE, 0, 1.0, 2.0, HOSTILE),),
        holes=(HoleMark(1.0, 1.0, None, 1, 1, (HOSTILE,)),),
    )
    scenario = evolve(
        FAILED,
        name=HOSTILE,
        title=HOSTILE,
        reason=HOSTILE,
        command=HOSTILE,
        violations=(Violation(HOSTILE, 1.0, HOSTILE),),
        timeline=timeline,
    )
    run = evolve(
        RUN,
        system=HOSTILE,
        version=HOSTILE,
        broker=HOSTILE,
        topology=HOSTILE,
        machine=HOSTILE,
        command=HOSTILE,
        scenarios=(scenario, evolve(SKIPPED, name=HOSTILE, reason=HOSTILE)),
    )
    return Result((run,))


@pytest.mark.parametrize("systems", [1, 2])
def test_no_name_breaks_out_of_the_page(systems: int) -> None:
    page = html_page(Result(hostile().runs * systems))
    assert read(page).scripts == 1
    assert "<img" not in page
    assert html.escape(HOSTILE) in page


@given(st.text(), st.lists(st.tuples(st.floats(-1, 99), st.floats(-1, 99)), max_size=20))
def test_no_timeline_leaves_its_drawing(name: str, spans: list[tuple[float, float]]) -> None:
    made = Timeline(
        seconds=30.0,
        step=0.25,
        here=(),
        elsewhere=(10**30,),
        pods=10**9,
        faults=tuple(FaultSpan(begin, end, name) for begin, end in spans),
        bands=tuple(Band(BandKind.BREAKER, 99, begin, end, name) for begin, end in spans),
        holes=tuple(HoleMark(begin, begin, end, 1, 1, (name,)) for begin, end in spans),
    )
    drawn = draw(made)
    read(drawn)
    assert all(0 <= float(share) <= 100 for share in re.findall(r'"([-\d.]+)%"', drawn))
    assert drawn.count('<text class="fault"') <= MOST_FAULTS
    assert drawn.count(">pod ") <= MOST_LANES


def test_several_systems_stand_beside_each_other() -> None:
    other = evolve(RUN, system="Socket.IO", scenarios=(evolve(FAILED, name="only-there"),))
    page = html_page(Result((RUN, other)))
    text = text_of(page)
    assert "What was lost?" in text
    assert text.count("only-there") >= 3
    assert '<a href="#r1">Socket.IO 0.1.0 on redis cluster</a>' in page
    assert (
        "2 undeclared lost , 7 false receipts , 5 twice , 6 out of order , 31 declared lost" in text
    )
    read(page)


def test_a_report_of_nothing_is_a_page_too() -> None:
    read(html_page(Result(())))
    read(html_page(Result((run_of(),))))


def test_a_page_of_a_whole_catalogue_is_light() -> None:
    page = html_page(Result((run_of(*[FAILED] * 48),)))
    assert len(page) < 600_000
