"""How much memory rooms hold: estimated, in turns, so that it costs the pod next to nothing.

What a room holds is its state and its own attributes, and whatever these lead to, but for what is
the pod's: members, addresses, timers, loggers, code. Of a large container some items are
weighed and stand for the rest. What several rooms share is counted for each of them.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from types import (
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    ModuleType,
)
from typing import Any, Final, TypeAlias

from attrs import frozen

from ...actors import Room

__all__ = ["RoomWeights", "Weight", "weigh"]

MOST_OBJECTS: Final = 2_000
"""Objects that are looked at in one go: some milliseconds each ten seconds."""
SAMPLED: Final = (64, 16, 4, 2)
"""Items of a container that stand for all of it; of those within it, and so on, fewer."""

_NOT_HELD: Final = (
    *(type, ModuleType, FunctionType, BuiltinFunctionType),
    *(CodeType, FrameType, CoroutineType, Room),
)
_OURS: Final = frozenset(("deployd", "trio", "structlog", "logging", "asyncio"))
_Items: TypeAlias = Callable[[Any, int, int], Iterable[object]]
"""Returns so many items of a container of that length."""


def _spread(kind: type[list[Any]] | type[tuple[Any, ...]]) -> _Items:
    def some(container: Any, length: int, count: int) -> Iterable[object]:
        step = max(1, length // count)
        return kind.__getitem__(container, slice(0, step * count, step))

    return some


def _first(items: Callable[[Any], Iterable[object]], each: int = 1) -> _Items:
    return lambda container, _, count: islice(items(container), each * count)


def _keys_and_values(it: dict[Any, Any]) -> Iterable[object]:
    return chain.from_iterable(dict.items(it))


# As the types themselves have it: what a subclass makes of it is code that is not ours.
_CONTAINERS: Final[tuple[tuple[type, Callable[[Any], int], _Items], ...]] = (
    (list, list.__len__, _spread(list)),
    (tuple, tuple.__len__, _spread(tuple)),
    (dict, dict.__len__, _first(_keys_and_values, 2)),
    (set, set.__len__, _first(set.__iter__)),
    (frozenset, frozenset.__len__, _first(frozenset.__iter__)),
    (deque, deque.__len__, _first(deque.__iter__)),
)


@frozen
class Weight:
    """An estimate in bytes, and how many objects were looked at for it."""

    nbytes: int
    objects: int


def weigh(roots: Iterable[object], most: int = MOST_OBJECTS) -> Weight:
    """Estimate what these objects take, and all that they lead to.

    Where there is more than `most`, and not in containers, it is more than what is returned. No
    code of the objects runs but their `__sizeof__`.
    """
    seen = set[int]()
    waiting = [(root, 1.0, 0) for root in roots]
    total = 0.0
    while waiting and len(seen) < most:
        item, times, depth = waiting.pop()
        if id(item) in seen or _is_not_held(item):
            continue
        seen.add(id(item))
        total += times * _size(item)
        inner, stands_for, depth = _inner(item, depth)
        if stands_for == 1.0:
            waiting += [(one, times, depth) for one in inner]
            continue
        # What a sample has twice is in the rest too: it is one object, and stands for itself.
        often = Counter(map(id, inner))
        for one in inner:
            alone = often[id(one)] == 1 and id(one) not in seen
            waiting.append((one, times * stands_for if alone else times, depth))
    return Weight(round(total), len(seen))


class RoomWeights:
    """Weighs rooms one after the other, as many in one go as `MOST_OBJECTS` allow."""

    def __init__(self) -> None:
        self._weights: dict[str, int] = {}
        self._turn: Iterator[str] = iter(())

    def look(self, rooms: Mapping[str, Callable[[], Iterable[object]]]) -> None:
        """Weigh those whose turn it is of the rooms that run: what they hold, by name."""
        left = MOST_OBJECTS
        self._weights = {name: it for name, it in self._weights.items() if name in rooms}
        for _ in range(len(rooms)):
            if left <= 0:
                return
            name = next(self._turn, None)
            if name is None:  # a round is over
                self._turn = iter([*rooms])
                name = next(self._turn)
            held = rooms.get(name)
            if held is not None:
                weight = weigh(held(), MOST_OBJECTS)
                left -= weight.objects + 1
                self._weights[name] = weight.nbytes

    def heaviest(self) -> tuple[str, int] | None:
        """Return the room that holds most, and how much; None where none was looked at."""
        return max(self._weights.items(), key=lambda one: one[1], default=None)

    def of(self, room: str) -> int | None:
        """Return what a room held when it was looked at last (bytes); None before that."""
        return self._weights.get(room)


def _is_not_held(item: object) -> bool:
    kind = type(item)
    return isinstance(item, _NOT_HELD) or kind.__module__.partition(".")[0] in _OURS


def _inner(item: object, depth: int) -> tuple[list[object], float, int]:
    """Return what an object leads to, for how many each of these stands, and how deep they are."""
    for kind, length_of, items in _CONTAINERS:
        if isinstance(item, kind):
            length, most = length_of(item), SAMPLED[min(depth, len(SAMPLED) - 1)]
            return [*items(item, length, most)], max(1.0, length / most), depth + 1
    return gc.get_referents(item), 1.0, depth


def _size(item: object) -> int:
    try:
        return sys.getsizeof(item, 0)
    except Exception:  # noqa: BLE001 - it is somebody else's `__sizeof__`
        return 0
