"""An hour of a pod: what was wrong from when until when, and how it was."""

from __future__ import annotations

from typing import Any

from deployd.supervisors.observe.past import Ailment, Neighbour, Past

DEAD = Ailment("cut-off", "breaker-open", "Degraded: why", 95.0, {"lost": 3, "missed": 0})
FULL = Ailment("full", "connections-near-max", "Nearly full: 9 of 10 connections.")


def shown(past: Past, now: float) -> Any:
    return past.to_json(now)


def test_what_is_wrong_is_an_episode_until_it_is_not_seen_any_more() -> None:
    past = Past(["connections"])
    past.look([DEAD, FULL], 100.0)
    past.look([DEAD, FULL], 101.0)
    assert [one.key for one in past.wrong] == ["cut-off", "full"]
    assert [one.at for one in past.wrong] == [95.0, 100.0]  # as known; as first seen
    past.look([FULL], 102.0)
    assert [one.key for one in past.wrong] == ["full"]
    episodes = shown(past, 103.0)["episodes"]
    assert [(one["key"], one["at"], one["until"]) for one in episodes] == [
        ("cut-off", 95.0, 102.0),
        ("full", 100.0, None),
    ]
    assert episodes[0]["cost"] == {"lost": 3}
    assert episodes[0]["runbook"] == "breaker-open"


def test_what_an_episode_cost_is_added_up_where_its_ailment_sees_a_window() -> None:
    past = Past([])
    for second, (lately, ever) in enumerate([(3, 10), (5, 12), (2, 20), (2, 20)]):
        past.look(
            [Ailment("lost", "x", "x", cost={"lost": lately}, counters={"lost": ever})], second
        )
    assert past.wrong[0].cost == {"lost": 13}
    past.look([], 9.0)
    assert shown(past, 9.0)["episodes"][0]["cost"] == {"lost": 13}


def test_the_worst_comes_first_whenever_it_began() -> None:
    past = Past([])
    past.look([FULL], 100.0)
    past.look([DEAD, FULL], 101.0)
    assert [one.key for one in past.wrong] == ["cut-off", "full"]


def test_what_comes_again_is_another_episode() -> None:
    past = Past([])
    for now, wrong in ((1.0, [FULL]), (2.0, []), (3.0, [FULL]), (4.0, [])):
        past.look(wrong, now)
    assert [(one["at"], one["until"]) for one in shown(past, 5.0)["episodes"]] == [(1, 2), (3, 4)]


def test_an_hour_is_kept_and_no_more() -> None:
    past = Past(["connections", "lost"])
    for second in range(3 * 3600):
        if past.due(float(second)):
            past.add({"connections": second}, float(second))
        past.look([FULL] if second % 100 < 50 else [], float(second))
    answer = shown(past, 3 * 3600.0)
    assert len(answer["points"]) == 360
    assert answer["points"][-1] == [10790.0, 10790, None]
    assert len(answer["episodes"]) <= 37
    assert min(one["until"] for one in answer["episodes"]) >= 2 * 3600


def test_a_flood_of_trouble_is_bounded() -> None:
    past = Past([])
    for second in range(1000):
        past.look([Ailment(f"{second} {n}", "x", "x") for n in range(50)], float(second))
        past.pods({str(n): Neighbour("x", "1") for n in range(second % 2 * 100)}, float(second))
    assert len(past.wrong) == 20
    assert len(shown(past, 1000.0)["episodes"]) <= 220


def test_pods_that_come_and_go_are_moments_but_not_those_that_were_there_first() -> None:
    past = Past([])
    past.pods({"a": Neighbour("ams-1", "1.0")}, 1.0)
    past.pods({"a": Neighbour("ams-1", "1.0")}, 2.0)
    past.pods({"b": Neighbour("ams-2", "1.1")}, 3.0)
    episodes = shown(past, 4.0)["episodes"]
    assert [one["sentence"] for one in episodes] == [
        "Pod ams-2 is heard (deployd 1.1).",
        "Pod ams-1 is not heard any more.",
    ]
    assert all(one["at"] == one["until"] == 3.0 for one in episodes)


def test_a_clock_that_is_set_back_leaves_no_hole_of_hours() -> None:
    past = Past(["connections"])
    past.add({}, 10_000.0)
    assert not past.due(10_001.0)
    assert past.due(5_000.0)
