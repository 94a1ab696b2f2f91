"""What a terminal shows of a chaos run, while it goes on and in the end."""

from __future__ import annotations

import io

import pytest
import trio
from attrs import evolve
from rich.console import Console
from trio.testing import MockClock

from deployd.tools.chaos.report import Result
from deployd.tools.chaos.report.figures import FIGURES, value
from deployd.tools.chaos.report.table import RunProgress, line, print_result, show
from support.chaos_results import ALL_WELL, BROKEN, FAILED, MEASURES, RESULT, RUN, SKIPPED


def console(*, terminal: bool = False, width: int = 300) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def shown(of: Console) -> str:
    file = of.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def printed(result: Result) -> str:
    screen = console()
    print_result(result, screen)
    return shown(screen)


def test_the_table_has_each_figure_and_the_sentence_below_says_what_was_lost() -> None:
    text = printed(RESULT)
    for fact in FIGURES:
        assert all(word in text for word in fact.short.split())
        assert value(MEASURES, fact) in text
    lines = text.splitlines()
    assert "2 deliveries were lost, and nobody was told." in lines
    assert any(line.startswith("4 scenarios: 1 passed, 1 failed") for line in lines)
    assert f"Again: {RUN.command}" in lines


def test_what_failed_is_told_with_its_violations_and_how_to_have_it_again() -> None:
    text = printed(RESULT)
    assert "17 of ann in plain never came to bob on pod 1" in text
    assert "3-broker-frozen: and 41 more" in text
    assert f"again: {FAILED.command}" in text
    assert "not applicable  24-queue-deleted  It is for RabbitMQ." in text
    assert "not judged  22-slot-moves  redis-server ended with code 1." in text


@pytest.mark.parametrize("width", [40, *range(60, 201, 5)])
def test_no_figure_is_cut_where_a_terminal_is_narrow(width: int) -> None:
    screen = console(width=width)
    print_result(RESULT, screen)
    text = shown(screen)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    left_out = [fact for fact in FIGURES if value(MEASURES, fact) not in words]
    assert all(fact.short in words for fact in left_out)
    assert ("A wider terminal" in words) == (width < 170)


def test_names_do_not_steer_the_terminal() -> None:
    bad = evolve(RUN, scenarios=(evolve(FAILED, name="\x1b[2J[red]boo"),))
    text = printed(Result((bad,)))
    assert "\x1b" not in text
    assert "[red]boo" in text
    assert "\x1b" not in line(bad.scenarios[0]).plain


def test_progress_says_what_is_done_and_what_is_on() -> None:
    clock = iter([10.0, 14.0])
    progress = RunProgress(4, clock=lambda: next(clock))
    progress.end(ALL_WELL)
    progress.end(FAILED)
    progress.begin("5-blackhole")
    progress.say("starting three pods")
    screen = console()
    screen.print(progress.view())
    text = shown(screen)
    assert "passed  8-way-cut" in text
    assert "failed  3-broker-frozen  2 undeclared lost  7 false receipts  5 twice" in text
    assert "2 of 4 done, 1 failed  5-blackhole  4 s  starting three pods" in text


def test_without_a_terminal_each_that_ended_is_a_line_once(autojump_clock: MockClock) -> None:
    screen = console()

    async def story() -> None:
        progress = RunProgress(3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show, progress, screen)
            for each in (ALL_WELL, SKIPPED, BROKEN):
                await trio.sleep(1)
                progress.end(each)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

    trio.run(story, clock=autojump_clock)
    lines = [line.strip() for line in shown(screen).splitlines()]
    assert lines == [
        "passed  8-way-cut",
        "not applicable  24-queue-deleted  It is for RabbitMQ.",
        "not judged  22-slot-moves  redis-server ended with code 1.",
    ]


def test_several_systems_stand_beside_each_other_scenario_by_scenario() -> None:
    other = evolve(RUN, system="another", scenarios=(evolve(ALL_WELL, name=FAILED.name),))
    rows = [
        each.split()
        for each in printed(Result((RUN, other))).split("Beside each other")[1].splitlines()
    ]
    ours = next(row for row in rows if row[:2] == [FAILED.name, RUN.system])
    place = rows.index(ours)
    assert ours[2:8] == ["failed", "2", "7", "5", "6", "31"]
    assert rows[place + 1][:3] == ["another", "passed", "0"]
    assert "Beside" not in printed(RESULT)


async def test_what_ended_just_before_the_end_is_told_too(autojump_clock: MockClock) -> None:
    progress, plain = RunProgress(2, clock=trio.current_time), console()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(show, progress, plain)
        await trio.sleep(1)
        progress.end(ALL_WELL)
        await trio.sleep(1)
        progress.end(SKIPPED)
        nursery.cancel_scope.cancel()
    assert len(shown(plain).splitlines()) == 2
