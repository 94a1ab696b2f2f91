"""What it costs to build what clients send by its annotation, to find its fault, to answer.

Beside msgspec where that is installed, by which a room could do it too. Rounds alternate; the best
of each is printed, for nothing else is to be measured here.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from _report import machine, quick
from attrs import frozen

from deployd.actors import JSON
from deployd.actors.rooms.handlers.payloads import Build, plain_of


@frozen
class Bid:
    """The data of the auction's event."""

    amount: float


@frozen
class Leading:
    """Its answer."""

    user: str
    amount: float


class Colour(enum.Enum):
    """One of a few."""

    RED = "red"
    BLUE = "blue"


@frozen
class Item:
    """One line of an order."""

    sku: str
    count: int
    price: float | None = None


@frozen
class Place:
    """Where it goes."""

    street: str
    city: str


@frozen
class Order:
    """Something with lists, dicts and classes in it."""

    items: list[Item]
    places: dict[str, Place]
    colour: Colour = Colour.RED


ITEMS: list[JSON] = [{"sku": f"s{number}", "count": number, "price": 0.5} for number in range(10)]
PLACE: JSON = {"street": "a", "city": "b"}
ORDER: JSON = {"items": ITEMS, "places": {"home": PLACE, "work": PLACE}, "colour": "blue"}
WRONG: JSON = {"items": [*ITEMS[:9], {"sku": "x", "count": "9"}], "places": {}}

Convert = Callable[[JSON, type], object]


def main() -> int:
    """Measure, print, and return the exit code."""
    rounds = 5 if quick("Microseconds to build what clients send, and to write answers.") else 30
    print(machine())
    known: dict[str, tuple[Convert, Callable[[object], object]]] = {"rooms": (_built(), plain_of)}
    if importlib.util.find_spec("msgspec") is not None:
        msgspec: Any = importlib.import_module("msgspec")
        known["msgspec"] = (msgspec.convert, msgspec.to_builtins)
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for name, (convert, plain) in known.items():
            for what, act, times in _tasks(convert, plain):
                taken = _microseconds(act, times)
                best[what, name] = min(taken, best.get((what, name), taken))
    print(f"\n{'microseconds':36}" + "".join(f"{name:>9}" for name in known))
    for what in dict.fromkeys(what for what, _ in best):
        print(f"{what:36}" + "".join(f"{best[what, name]:9.2f}" for name in known))
    return 0


def _built() -> Convert:
    builds: dict[type, Build] = {kind: Build(kind) for kind in (Bid, Order)}
    return lambda data, kind: builds[kind](data)


def _tasks(
    convert: Convert, plain: Callable[[object], object]
) -> Iterator[tuple[str, Callable[[], object], int]]:
    order, leading = convert(ORDER, Order), Leading("ann", 15)
    yield "build a bid", partial(convert, {"amount": 15.5}, Bid), 5000
    yield "find what is wrong with a bid", partial(_refused, convert, {"amount": "all"}, Bid), 1000
    yield "build an order of ten items", partial(convert, ORDER, Order), 500
    yield "find what is wrong with an order", partial(_refused, convert, WRONG, Order), 200
    yield "write the answer to a bid", lambda: orjson.dumps(plain(leading)), 5000
    yield "write an order", lambda: orjson.dumps(plain(order)), 1000


def _refused(convert: Convert, data: JSON, kind: type) -> None:
    with suppress(Exception):
        convert(data, kind)


def _microseconds(act: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - started) / times * 1e6


if __name__ == "__main__":
    raise SystemExit(main())
