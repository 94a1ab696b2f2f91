"""What steps wait for, in histories that are still being written."""

from __future__ import annotations

import pytest

from deployd.tools.chaos.scenario import CONDITIONS, Condition, Witness
from deployd.tools.oracle import TAKEN, Answered, Entered, Gone, Linked, Record, Told

WELL: list[Record] = [
    *(Linked(0.1, 0, "closed", 1), Linked(0.1, 1, "closed", 1)),
    *(Entered(0.2, "a", 0, "everybody"), Entered(0.2, "b", 1, "everybody")),
]


def told(who: str, code: str, room: str | None = None, until: float | None = None) -> Told:
    return Told(2.0, who, room, code, 1.0, until, 0)


def happened(*records: Record, before: tuple[Record, ...] = ()) -> set[Condition]:
    history: list[Record] = [*WELL, *before]
    witness = Witness(history, len(history))
    history += records
    return {condition for condition in CONDITIONS if witness.came(condition)}


def test_nothing_has_come_about_while_all_is_well() -> None:
    assert happened() == set()
    assert happened(Answered(2.0, "a", 1, "cluster")) == set()
    assert happened(Answered(2.0, "a", 1, TAKEN)) == set()  # it says nothing of who hears


@pytest.mark.parametrize("noticed", [Linked(2.0, 0, "open", 1), told("a", "cut_off")])
def test_a_breaker_opens_by_what_is_known_of_the_pod_or_its_clients_are_told(
    noticed: Record,
) -> None:
    assert happened(noticed) == {"breaker opens"}


def test_all_breakers_are_open_when_those_of_all_live_pods_are() -> None:
    opened = happened(Linked(2.0, 0, "open", 1), told("b", "cut_off"))
    assert opened == {"breaker opens", "all breakers open"}
    dead = happened(Linked(2.0, 0, "open", 1), Linked(2.1, 1, "ended", 0))
    assert "all breakers open" in dead


def test_what_clients_are_told_of_holes_pods_and_emits_counts_each_for_itself() -> None:
    assert happened(told("a", "missed", "r")) == {"hole told"}
    assert happened(told("a", "partitioned")) == {"pod missed"}
    assert happened(Answered(2.0, "a", 1, "local")) == {"emit not for all"}
    assert "hole told" in happened(told("a", "missed", "r", until=1.5))


def test_all_are_healed_when_something_was_wrong_and_nobody_is_told_so_any_more() -> None:
    assert "all healed" in happened(told("a", "cut_off"), told("a", "cut_off", until=2.5))
    half = happened(told("a", "cut_off"), told("b", "cut_off"), told("a", "cut_off", until=2.5))
    assert "all healed" not in half
    assert "all healed" in happened(told("a", "missed", "r"), Gone(3.0, "a", "r"))
    assert "all healed" in happened(Linked(2.0, 0, "open", 1), Linked(2.5, 0, "closed", 1))


def test_what_came_about_before_a_step_is_not_news_but_what_was_wrong_then_may_heal() -> None:
    before = (told("a", "missed", "r"), told("b", "cut_off"))
    assert "hole told" not in happened(Answered(2.0, "a", 1, "cluster"), before=before)
    ends = (told("a", "missed", "r", until=2.5), told("b", "cut_off", until=2.5))
    assert "all healed" in happened(*ends, before=before)
