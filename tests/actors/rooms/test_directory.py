"""What is in the directory, and how the answers of several pods become one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.actors import JSON, Member, Room
from deployd.actors.rooms.directory import merged, rooms_of
from deployd.actors.rooms.roster import Roster
from deployd.testing import open_room
from deployd.transport import WireError
from deployd.transport.brokers import (
    MOST_LISTED,
    MOST_LISTED_BYTES,
    RoomAnswer,
    RoomEntry,
    RoomQuery,
)


def roster(name: str, **meta: JSON) -> Roster[Any]:
    return Roster(name=name, listed=True, opened_at=5.0, meta=meta, described_at=6.0)


def rosters(*made: Roster[Any]) -> dict[str, Roster[Any]]:
    return {str(each.name): each for each in made}


def entry(name: str, members: int = 1, described: float = 0.0, **meta: JSON) -> RoomEntry:
    return RoomEntry(name, members, 10.0 - members, described, meta)


def names(rooms: dict[str, Roster[Any]], **query: Any) -> list[str]:
    return [each.name for each in rooms_of(rooms, RoomQuery(**query))[0]]


def test_only_what_is_listed_is_in_it() -> None:
    hidden = Roster[Any](name="secret", opened_at=1.0)
    [found], more = rooms_of(rosters(hidden, roster("open", mode="ranked")), RoomQuery())
    assert found == RoomEntry("open", 0, 5.0, 6.0, {"mode": "ranked"})
    assert not more


def test_it_is_asked_by_pattern_by_what_rooms_say_and_by_name() -> None:
    rooms = rosters(roster("b", mode=1), roster("a1", mode="x", seats=4), roster("a2", mode=True))
    assert names(rooms) == ["a1", "a2", "b"]
    assert names(rooms, pattern="a*") == ["a1", "a2"]
    assert names(rooms, after="a1") == ["a2", "b"]
    assert names(rooms, where={"mode": "x", "seats": 4}) == ["a1"]
    assert names(rooms, where={"mode": "x", "seats": 5}) == []
    assert names(rooms, where={"other": None}) == []
    assert names(rooms, where={"mode": 1}) == ["b"]  # and not True
    assert names(rooms, where={"mode": 1.0}) == ["b"]


def test_what_is_cut_says_so() -> None:
    many = rosters(*(roster(f"r{number:03}") for number in range(MOST_LISTED + 1)))
    found, more = rooms_of(many, RoomQuery())
    assert (len(found), more) == (MOST_LISTED, True)
    assert names(many, after=found[-1].name) == [f"r{MOST_LISTED:03}"]
    wordy = rosters(*(roster(f"r{number:03}", text="x" * 1000) for number in range(100)))
    found, more = rooms_of(wordy, RoomQuery())
    assert more
    assert len(found) == MOST_LISTED_BYTES // 1011


def test_a_room_of_several_pods_is_one_described_as_it_was_last() -> None:
    one = RoomAnswer("a", 1, [entry("tea", 2, described=7.0, mode="old"), entry("x")])
    two = RoomAnswer("b", 1, [entry("tea", 3, described=8.0, mode="new")])
    for answers in ([one, two], [two, one]):
        rooms, end = merged(answers)
        assert end is None
        assert [(each.name, each.members) for each in rooms] == [("tea", 5), ("x", 1)]
        assert (rooms[0].since, rooms[0].meta) == (7.0, {"mode": "new"})


def test_nothing_is_told_of_rooms_whose_members_are_not_all_known() -> None:
    cut = RoomAnswer("a", 1, [entry("a"), entry("m")], more=True)
    whole = RoomAnswer("b", 1, [entry("b"), entry("z", 5)])
    rooms, end = merged([cut, whole])
    assert [each.name for each in rooms] == ["a", "b", "m"]  # "z" may have members on both
    assert end == "m"


@given(
    st.lists(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 9))),
    st.integers(1, 5),
)
def test_who_turns_all_pages_sees_each_room_once_with_all_its_members(
    pods: list[dict[str, int]], page: int
) -> None:
    def answer(rooms: dict[str, int], after: str) -> RoomAnswer:
        wanted = sorted(name for name in rooms if name > after)
        entries = [entry(name, rooms[name]) for name in wanted[:page]]
        return RoomAnswer("p", 1, entries, more=len(wanted) > page)

    seen: dict[str, int] = {}
    after: str | None = ""
    while after is not None:
        rooms, after = merged([answer(each, after) for each in pods])
        for each in rooms:
            assert each.name not in seen
            seen[each.name] = each.members
    expected: dict[str, int] = {}
    for each_pod in pods:
        for name, members in each_pod.items():
            expected[name] = expected.get(name, 0) + members
    assert seen == expected


class Game(Room):
    listed = True

    async def on_start(self) -> None:
        self.describe(mode="ranked")

    async def on_join(self, member: Member) -> None:
        self.describe(mode="ranked", players=len(self.members))

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.describe(said=data)


async def test_a_room_says_of_itself_what_it_likes_within_bounds(autojump_clock: object) -> None:
    async with open_room(Game) as room:
        ann = await room.join()
        with pytest.raises(Exception, match="failed on this message"):
            await ann.emit("said", "x" * 1100)


def test_a_query_is_bounded_and_json() -> None:
    with pytest.raises(WireError, match="1024 are the most"):
        RoomQuery.of("*", {"x": "y" * 1100}, "")
    with pytest.raises(WireError, match="1024 characters"):
        RoomQuery.of("*" * 1025, None, "")
    with pytest.raises(WireError):
        RoomQuery.of("*", {"x": object()}, "")  # type: ignore[dict-item]
    deep: JSON = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(WireError, match="128 levels"):
        RoomQuery.of("*", {"x": deep}, "")
