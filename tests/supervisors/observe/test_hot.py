"""Which rooms are hot."""

from __future__ import annotations

from deployd.actors import Roster
from deployd.supervisors.observe.hot import HotRooms


def rooms(**counts: tuple[int, int, int]) -> dict[str, Roster[None]]:
    made = {}
    for name, (events, deliveries, nbytes) in counts.items():
        made[name] = roster = Roster[None](name)
        roster.sequence, roster.deliveries, roster.delivered_bytes = events, deliveries, nbytes
    return made


def test_a_room_is_as_hot_as_what_it_did_since_the_looks_that_are_kept() -> None:
    hot = HotRooms()
    hot.look(rooms(tea=(100, 1000, 10_000), cake=(5, 5, 5)).items(), 40, {}, 0.0)
    assert hot.hottest() == []
    hot.look(rooms(tea=(110, 1100, 11_000), cake=(5, 5, 5)).items(), 40, {}, 10.0)
    [tea] = hot.hottest()
    assert (tea.name, tea.events, tea.deliveries, tea.nbytes) == ("tea", 1.0, 10.0, 100.0)
    for number in range(1, 8):  # then it is silent, and a minute later it is not hot any more
        hot.look(rooms(tea=(110, 1100, 11_000)).items(), 40, {}, 10.0 + 10 * number)
    assert hot.hottest() == []


def test_who_takes_the_processor_comes_first_though_it_says_nothing() -> None:
    hot = HotRooms()
    for now in (0.0, 10.0):
        busy = {"pod/rooms/sleepy": 30, "pod/connections/1": 5}
        hot.look(rooms(tea=(int(now), int(now), int(now))).items(), 40, busy, now)
    sleepy, tea = hot.hottest()
    assert (sleepy.name, sleepy.processor, sleepy.events) == ("sleepy", 0.75, 0.0)
    assert (tea.name, tea.processor) == ("tea", 0.0)


def test_a_room_that_began_again_counts_from_nothing_and_ten_are_shown() -> None:
    hot = HotRooms()
    hot.look(rooms(tea=(1000, 1000, 1000)).items(), 0, {}, 0.0)
    hot.look(rooms(tea=(10, 10, 10)).items(), 0, {}, 10.0)
    [tea] = hot.hottest()
    assert (tea.events, tea.processor) == (1.0, None)
    many = {str(number): (number, number, number) for number in range(500)}
    hot.look(rooms(**many).items(), 0, {}, 20.0)
    assert [one.name for one in hot.hottest()] == [str(number) for number in range(499, 489, -1)]
