"""Which rooms clients have opened, and which of them go first."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from deployd.actors.rooms.openings import Openings
from deployd.transport import Asker, Grant, Shares

A, B = Asker.of("192.0.2.1", "ada"), Asker.of("192.0.2.2", "bob")
ADA_ELSEWHERE = Asker.of("192.0.2.9", "ada")


def opened(openings: Openings, *names: str, asker: Asker = A, empty: bool = True) -> None:
    for name in names:
        assert openings.admit(name, asker)
        if empty:
            openings.is_empty(name)


def test_the_room_that_has_stood_empty_for_longest_goes_first() -> None:
    openings = Openings(Shares(3))
    opened(openings, "a", "b", "c")
    openings.is_in_use("a")
    openings.is_empty("b")  # once more: it has been so since before
    openings.is_empty("a")
    assert list(openings.to_give_up(B)) == ["b", "c", "a"]


def test_who_has_its_share_gives_up_one_of_its_own() -> None:
    openings = Openings(Shares(4, per_address=2, per_user=3))
    opened(openings, "b", asker=B)
    opened(openings, "a1", "a2")
    assert openings.admit("a3", A) is Grant.OVER_SHARE
    assert list(openings.to_give_up(A)) == ["a1", "a2"]


def test_a_user_that_has_its_share_gives_up_one_of_its_own_wherever_it_asks_from() -> None:
    openings = Openings(Shares(9, per_address=9, per_user=2))
    opened(openings, "b", asker=B)
    opened(openings, "a1", "a2")
    assert openings.admit("a3", ADA_ELSEWHERE) is Grant.OVER_SHARE
    assert list(openings.to_give_up(ADA_ELSEWHERE)) == ["a1", "a2"]


def test_rooms_in_use_and_rooms_of_the_pod_go_for_nobody() -> None:
    openings = Openings(Shares(2))
    opened(openings, "a", empty=False)
    openings.is_empty("the pod's own")
    assert list(openings.to_give_up(B)) == []


def test_the_reserve_is_for_the_pods_own_rooms() -> None:
    openings = Openings(Shares(2, reserve=1))
    opened(openings, "a")
    assert openings.admit("b", B) is Grant.NONE_LEFT
    assert openings.admit("collection:todos", B, reserved=True)


ASKERS = st.builds(Asker, st.sampled_from(["", "x", "y"]), st.sampled_from([None, "u"]))
STEPS = st.tuples(st.sampled_from("abcdef"), ASKERS, st.sampled_from(["open", "use", "empty", ""]))


@given(st.lists(STEPS, max_size=60))
def test_who_makes_place_for_somebody_has_made_it(steps: list[tuple[str, Asker, str]]) -> None:
    openings = Openings(Shares(4, per_address=2, per_user=3))
    rooms: Counter[str] = Counter()
    for name, asker, step in steps:
        if step == "open" and not rooms[name]:
            grant = openings.admit(name, asker)
            if not grant:
                for other in openings.to_give_up(asker):
                    openings.forget(other)
                    del rooms[other]
                    grant = openings.admit(name, asker)
                    break
            rooms[name] += bool(grant)
        elif step == "use":
            openings.is_in_use(name)
        elif step == "empty":
            openings.is_empty(name)
        elif not step:
            openings.forget(name)
            del rooms[name]
        assert len(openings) == rooms.total() <= 4
        for other in openings.to_give_up(asker):
            assert rooms[other]
