"""What should have come: from the numbers of what did, and from what the others say of theirs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.actors.cluster.numbering import Numbering
from deployd.actors.cluster.sequences import GRACE, Hole, Sequences
from deployd.transport import Event
from deployd.transport.brokers import Beat, Envelope, Mark


def never(room: str | None) -> bool:
    return False


def heard(it: Sequences, *numbers: int, room: str = "tea", wall: float = 1000.0) -> Hole | None:
    events = [Event(room, "said", b"1", f"id-{n}", n, 0.0, "p") for n in numbers]
    return it.follow(Envelope("p", 1, room, events), events, wall)


def told(it: Sequences, *marks: Mark, now: float, late: float = 0.0) -> list[str | None]:
    return it.marked(Beat("p", 1, marks=marks), now, 1000.0 + now, late)


def entered(at: float = 0.0, room: str = "tea") -> Sequences:
    it = Sequences()
    it.entered(room, at)
    return it


def test_what_was_said_last_and_has_not_come_is_missed_after_a_moment() -> None:
    it = entered()
    heard(it, 1, 2)
    assert told(it, Mark("tea", 1, 5, 0.9, 0.1), now=10.0) == ["tea"]
    assert it.due(10.0 + GRACE - 0.91) == []
    [first] = it.due(10.0 + GRACE - 0.9)  # the oldest of them was said 0.9 s before the beat
    assert (first.room, first.missed) == ("tea", 1)
    assert first.since <= 1009.1
    assert it.due(10.0 + GRACE - 0.11) == []
    [rest] = it.due(10.0 + GRACE - 0.1)
    assert rest.missed == 2
    assert it.missed == 3
    assert it.due(99.0) == []


def test_what_was_said_a_second_before_the_beat_that_tells_of_it_is_not_awaited() -> None:
    it = entered()
    heard(it, 1)
    told(it, Mark("tea", 2, 2, 1.5, 1.5), now=10.0)
    [hole] = it.due(10.0)
    assert hole.missed == 1


def test_a_beat_that_was_long_on_its_way_tells_of_what_was_said_as_much_earlier() -> None:
    it = entered()
    heard(it, 1)
    told(it, Mark("tea", 2, 2, 0.5, 0.5), now=10.0, late=0.9)
    [hole] = it.due(12.0)
    assert hole.since <= 1000.0 + 10.0 - 0.5 - 0.9
    it = entered(at=9.0)
    assert told(it, Mark("tea", 4, 6, 0.8, 0.2), now=10.0, late=0.9) == []


def test_a_hole_of_which_a_beat_told_that_was_missed_begins_when_the_last_came() -> None:
    it = entered()
    heard(it, 1, wall=1004.0)
    told(it, Mark("tea", 5, 5, 0.5, 0.5), now=10.0)  # 2 to 4 were told of by an earlier one
    assert [(hole.missed, hole.since) for hole in it.due(12.0)] == [(1, 1003.75), (3, 1003.75)]


def test_what_comes_after_the_beat_that_tells_of_it_is_not_missed() -> None:
    it = entered()
    heard(it, 1)
    told(it, Mark("tea", 1, 3, 0.9, 0.0), now=10.0)
    heard(it, 2, 3)
    assert it.due(20.0) == []
    assert it.missed == 0


def test_what_was_said_before_anybody_came_is_not_owed() -> None:
    it = entered(at=9.9)
    assert told(it, Mark("tea", 4, 6, 0.8, 0.2), now=10.0) == []
    assert it.due(20.0) == []


def test_what_was_said_after_somebody_came_is_owed_though_nothing_ever_came() -> None:
    it = entered(at=9.0)
    assert told(it, Mark("tea", 4, 6, 0.8, 0.2), now=10.0) == ["tea"]
    assert sum(hole.missed for hole in it.due(12.0)) == 3


def test_of_what_was_said_around_somebodys_coming_the_last_at_least_is_owed() -> None:
    it = entered(at=9.5)
    told(it, Mark("tea", 4, 6, 0.8, 0.2), now=10.0)
    [hole] = it.due(12.0)
    assert hole.missed == 1


def test_what_is_missing_before_the_first_that_came_is_found() -> None:
    it = entered(at=0.0)
    heard(it, 3)
    assert it.missed == 0  # for it is not known yet what came before
    assert told(it, Mark("tea", 1, 3, 0.5, 0.1), now=10.0) == ["tea"]
    [hole] = it.due(12.0)
    assert hole.missed == 2
    assert told(it, Mark("tea", 0, 3, 5.0, 5.0), now=14.0) == []  # once


def test_a_room_that_nobody_is_in_lacks_nothing() -> None:
    it = entered()
    heard(it, 1)
    told(it, Mark("tea", 1, 9, 0.9, 0.1), now=10.0)
    it.forget("tea")
    assert it.due(20.0) == []
    assert told(it, Mark("tea", 1, 9, 0.9, 0.1), now=21.0) == []


def test_a_hole_among_what_came_is_known_at_once_and_since_the_last_that_came() -> None:
    it = entered()
    assert heard(it, 1, wall=1000.0) is None
    hole = heard(it, 4, wall=1005.0)
    assert hole is not None
    assert (hole.missed, hole.since) == (2, 999.75)
    assert told(it, Mark("tea", 1, 4, 5.0, 0.1), now=10.0) == []


def test_a_hole_begins_when_the_last_before_it_was_said_and_not_when_that_came() -> None:
    it = entered()
    for number, said_at, came_at in ((1, 500.0, 1000.0), (2, 501.0, 1003.0)):  # other clocks
        events = [Event("tea", "said", b"1", f"id-{number}", number, said_at, "p")]
        assert it.follow(Envelope("p", 1, "tea", events), events, came_at) is None
    events = [Event("tea", "said", b"1", "id-5", 5, 503.0, "p")]
    hole = it.follow(Envelope("p", 1, "tea", events), events, 1003.1)
    assert hole is not None
    assert hole.since == 1000.75


def test_the_first_words_of_a_pod_that_come_behind_late_beats_were_said_as_early() -> None:
    it = entered()
    told(it, now=3.0)
    told(it, now=10.0, late=6.0)  # this pod slept, and finds all of it at once
    events = [Event("tea", "said", b"1", "id-1", 1, 504.5, "p")]
    assert it.follow(Envelope("p", 1, "tea", events), events, 1010.0) is None
    events = [Event("tea", "said", b"1", "id-3", 3, 510.0, "p")]
    hole = it.follow(Envelope("p", 1, "tea", events), events, 1010.1)
    assert hole is not None
    assert hole.since == 1003.75  # at the earliest


def spoken(*numbers: int, time: float) -> list[Event]:
    return [Event("tea", "said", b"1", f"id-{n}", n, time, "p") for n in numbers]


def test_what_comes_behind_what_was_said_later_is_told_to_be_missed_and_not_heard() -> None:
    it = entered()
    assert it.follow(Envelope("p", 1, "tea", []), spoken(1, time=500.0), 1000.0) is None
    hole = it.follow(Envelope("p", 1, "tea", []), spoken(4, time=505.0), 1005.0)
    assert hole is not None
    assert hole.missed == 2
    late = Envelope("p", 1, "tea", [])
    assert it.in_order(late, spoken(2, 3, time=501.0)) == []
    assert len(it.in_order(late, [*spoken(3, time=501.0), *spoken(5, time=506.0)])) == 1
    assert len(it.in_order(Envelope("q", 1, "tea", []), spoken(2, time=501.0))) == 1


def test_who_says_the_next_number_first_silences_nobody() -> None:
    it = entered()
    it.follow(Envelope("p", 1, "tea", []), spoken(1, time=500.0), 1000.0)
    it.follow(Envelope("p", 1, "tea", []), spoken(999, time=501.0), 1001.0)  # a stranger's
    assert len(it.in_order(Envelope("p", 1, "tea", []), spoken(2, time=502.0))) == 1


def test_what_a_slow_broker_brings_may_have_been_said_as_much_earlier() -> None:
    it = Sequences(lambda: 0.6)
    it.entered("tea", 0.0)
    assert heard(it, 1, wall=1000.0) is None
    hole = heard(it, 4, wall=1005.0)
    assert hole is not None
    assert hole.since == 999.4


def test_how_far_clocks_are_apart_is_known_in_all_rooms() -> None:
    it = entered()
    it.entered("cake", 0.0)
    heard(it, 1, wall=1000.0)
    for number in (1, 3):
        events = [Event("cake", "said", b"1", f"id-{number}", number, 4.0 + number, "p")]
        hole = it.follow(Envelope("p", 1, "cake", events), events, 1010.0)
    assert hole is not None
    assert hole.since == 1004.75


def test_an_answer_that_knows_no_first_number_tells_of_what_lacks() -> None:
    it = entered()
    heard(it, 1, 2)
    assert told(it, Mark("tea", 0, 7, 3.0, 3.0), now=10.0) == ["tea"]
    assert sum(hole.missed for hole in it.due(12.0)) == 5


def test_a_beat_tells_of_each_room_once_and_of_so_many_at_most() -> None:
    numbering = Numbering()
    for room in ("a", "b", "c"):
        for _ in range(3):
            numbering.next(room, 5.0)
    first = numbering.marks(6.0, 2, never)
    assert first == (Mark("a", 1, 3, 1.0, 1.0), Mark("b", 1, 3, 1.0, 1.0))
    numbering.next("a", 6.5)
    second = numbering.marks(7.0, 9, never)
    assert second == (Mark("c", 1, 3, 2.0, 2.0), Mark("a", 4, 4, 0.5, 0.5))
    assert numbering.marks(8.0, 9, never) == ()
    assert numbering.beat == 3


def test_how_long_something_has_been_said_of_which_no_beat_has_told() -> None:
    numbering = Numbering()
    assert numbering.untold(5.0, never) == 0
    numbering.next("kept", 1.0)
    numbering.next("tea", 2.0)
    numbering.next("tea", 4.0)
    assert numbering.untold(5.0, never) == 4.0
    assert numbering.untold(5.0, lambda room: room == "kept") == 3.0
    numbering.marks(5.0, 1, never)
    assert numbering.untold(5.0, never) == 3.0
    numbering.marks(5.0, 9, never)
    assert numbering.untold(5.0, never) == 0


def test_a_room_whose_events_wait_is_told_of_when_they_do_not_any_more() -> None:
    numbering = Numbering()
    numbering.next("kept", 1.0)
    assert numbering.marks(2.0, 9, lambda room: room == "kept") == ()
    assert numbering.since(0, 2.0, never, until=9) == []
    assert numbering.marks(3.0, 9, never) == (Mark("kept", 1, 1, 2.0, 2.0),)
    # The beat was lost with its connection, and what it told of waits again.
    assert numbering.since(1, 4.0, lambda room: room == "kept", until=9) == []
    assert numbering.marks(5.0, 9, never) == (Mark("kept", 0, 1, 4.0, 4.0),)


def test_who_missed_beats_is_told_of_all_rooms_that_they_told_of() -> None:
    numbering = Numbering()
    for beat in range(1, 5):
        numbering.next(f"room-{beat}", float(beat))
        numbering.marks(float(beat), 9, never)
    numbering.next("room-1", 9.0)  # not told yet
    assert [(m.room, m.last) for m in numbering.since(2, 9.0, never, until=9)] == [
        ("room-3", 1),
        ("room-4", 1),
    ]


def test_who_missed_beats_is_told_of_each_what_it_told() -> None:
    numbering = Numbering()
    for beat in range(1, 4):
        numbering.next("tea", beat - 0.5)
        numbering.next("tea", beat - 0.2)
        numbering.marks(float(beat), 9, never)
    assert [(m.first, m.last, m.first_age) for m in numbering.since(1, 3.0, never, until=9)] == [
        (3, 4, 1.5),
        (5, 6, 0.5),
    ]


def test_what_was_said_after_somebody_came_and_before_the_first_that_came_is_owed() -> None:
    it = entered(at=5.0)
    heard(it, 6)
    marks = [Mark("tea", 1, 3, 9.0, 5.5), Mark("tea", 4, 5, 3.0, 2.5), Mark("tea", 6, 6, 0.6, 0.6)]
    assert told(it, *marks, now=10.0) == ["tea"]
    assert sum(hole.missed for hole in it.due(12.0)) == 2
    assert told(it, *marks, now=10.0) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tea", "cake"]),
            st.integers(1, 3),
            st.booleans(),  # whether what is said comes
            st.booleans(),  # whether there is a beat
            st.booleans(),  # and whether that comes
        ),
        max_size=30,
    )
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_lost_each_event_has_come_or_is_missed(
    steps: list[tuple[str, int, bool, bool, bool]],
) -> None:
    numbering, it, holes = Numbering(), Sequences(), list[Hole]()
    lacking = set[str | None]()
    for room in ("tea", "cake"):
        it.entered(room, 0.0)
    now, said, came, known = 1.0, 0, 0, 0
    for room, count, arrives, beats, beat_arrives in steps:
        numbers = [numbering.next(room, now) for _ in range(count)]
        said += count
        now += 0.5
        if arrives:
            hole = heard(it, *numbers, room=room)
            holes += [] if hole is None else [hole]
            came += count
        else:
            lacking.add(room)
        if beats:
            marks = numbering.marks(now, 9, never)
            if beat_arrives and numbering.beat == known + 1:
                told(it, *marks, now=now)
                known += 1
        holes += it.due(now)
    now += 5.0
    numbering.next("other", now)
    told(it, *numbering.marks(now, 9, never), now=now)
    told(it, *numbering.since(known, now, never, until=numbering.beat), now=now)
    holes += it.due(now + GRACE)
    assert {hole.room for hole in holes} == lacking
    assert sum(hole.missed for hole in holes) == it.missed == said - came
