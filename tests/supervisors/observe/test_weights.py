"""How much memory rooms hold: estimates that are near enough to say which of them hoards."""

from __future__ import annotations

import gc
import json
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define

from deployd.actors import JSON, Member, Room
from deployd.supervisors.observe import RoomWeights
from deployd.supervisors.observe.weights import MOST_OBJECTS, weigh
from support import connected, running_pod

KB = 1000


def texts(count: int) -> list[str]:
    return [str(number).ljust(KB) for number in range(count)]


@define
class Cart:
    """Of somebody's own class, with slots."""

    items: list[str]


class Plain:
    def __init__(self) -> None:
        self.items = texts(500)


HOARDS: dict[str, Any] = {
    "a list": texts(500),
    "a tuple": tuple(texts(500)),
    "a set": set(texts(500)),
    "a deque": deque(texts(500)),
    "keys": dict.fromkeys(texts(500)),
    "values": dict(enumerate(texts(500))),
    "a default dict": defaultdict(list, {n: texts(5) for n in range(100)}),
    "an ordered dict": OrderedDict(enumerate(texts(500))),
    "lists in lists": [texts(50) for _ in range(10)],
    "documents": [{"id": n, "tags": texts(5)} for n in range(100)],
    "an object with slots": Cart(texts(500)),
    "an object": Plain(),
    "many objects": [Cart(texts(10)) for _ in range(50)],
    "a namespace": SimpleNamespace(cache=dict(enumerate(texts(500)))),
    "a closure's cell": iter(texts(500)),
    "bytes": bytearray(500 * KB),
    "one text": "x" * 500 * KB,
}


@pytest.mark.parametrize("held", HOARDS.values(), ids=HOARDS)
def test_wherever_half_a_megabyte_lies_it_is_found(held: object) -> None:
    assert 400 * KB < weigh([held]).nbytes < 900 * KB


def test_what_is_there_many_times_is_counted_once() -> None:
    text = "x" * KB * KB
    shared = [text] * 100_000
    assert weigh([shared, text, {"again": text}]).nbytes < 3 * KB * KB
    ring: list[object] = []
    ring.append(ring)
    assert weigh([ring]).objects == 1


def test_what_is_large_costs_no_more_than_what_is_not() -> None:
    numbers = list(range(1000, 1_001_000))
    found = weigh([numbers])
    assert found.objects < 100
    assert found.nbytes == pytest.approx(36_000_056, rel=0.01)
    chained: Any = None
    for _ in range(2 * MOST_OBJECTS):
        chained = Link(chained)
    assert weigh([chained]).objects <= MOST_OBJECTS
    del chained


class Link:
    __slots__ = ("behind",)

    def __init__(self, behind: object) -> None:
        self.behind = behind


class Unweighable:
    def __sizeof__(self) -> int:
        raise RuntimeError("a bug of somebody's")


class Wild(list[object]):
    """Whose own code may not run when it is weighed."""

    def __iter__(self) -> Any:
        raise RuntimeError("ran")

    def __len__(self) -> int:
        raise RuntimeError("ran")

    def __getitem__(self, index: Any) -> Any:
        raise RuntimeError("ran")


def test_nobodys_code_can_fail_it() -> None:
    wild = Wild()
    wild.append("x" * KB)
    assert weigh([Unweighable(), wild]).nbytes > KB


def test_code_and_what_is_the_pods_is_not_held() -> None:
    before = weigh([]).nbytes
    assert weigh([json, Room, weigh, gc, sys._getframe(), Room()]).nbytes == before == 0


def test_rooms_are_weighed_in_turns_and_those_that_ended_are_forgotten() -> None:
    weights, asked = RoomWeights(), list[str]()

    def holding(name: str, count: int) -> Any:
        def held() -> Iterable[object]:
            asked.append(name)
            return [[Link(number) for number in range(1000, 1060)] for _ in range(count)]

        return held

    rooms = {f"room-{n}": holding(f"room-{n}", 30) for n in range(9)}
    for _ in range(9):
        before = len(asked)
        weights.look(rooms)
        assert 0 < len(asked) - before < 9
    assert set(asked) == set(rooms)
    assert all(weights.of(name) for name in rooms)
    del rooms["room-3"]
    weights.look(rooms)
    assert (weights.of("room-3"), weights.of("never")) == (None, None)
    weights.look({})
    assert weights.heaviest() is None


class Hoarder(Room[list[str]]):
    def initial_state(self) -> list[str]:
        self.more = list[str]()
        return []

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        (self.state if event == "state" else self.more).extend(texts(300))
        self.broadcast(event, None)


@pytest.mark.parametrize("where", ["state", "attribute"])
async def test_a_room_that_hoards_is_found_by_its_name_and_its_pattern(where: str) -> None:
    async with (
        running_pod(rooms={"leaky-*": Hoarder, "*": Room}) as pod,
        connected(pod) as (client,),
    ):
        for room in ("leaky-1", "calm"):
            await client.join(room)
        await client.send("emit", room="leaky-1", event=where)
        await client.expect("emit")
        views: Any = pod.parts.tree.views
        shown = {room["name"]: room["memory"] for room in views.detailed()["rooms"]["all"]}
        patterns = {row["pattern"]: row for row in views.realtime()["rooms"]["patterns"]}
    assert shown["leaky-1"] > 300 * KB > 10 * KB > shown["calm"]
    assert patterns["leaky-*"]["heaviest"] == shown["leaky-1"]
