"""Handlers of events: what a client says is built, handled and answered, or refused."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import attrs
import orjson
import pytest
import trio
import trio.testing
from attrs import frozen

from deployd.actors import JSON, ActorDefinitionError, Member, Refuse, Room, on
from deployd.actors.rooms.handlers.annotations import NoPayload
from deployd.actors.rooms.handlers.payloads import Build, WrongPayload
from support.rooms import ask, room_of
from support.sinks import FakeSink


@frozen
class Bid:
    amount: float
    by: str = "nobody"


@frozen
class Leading:
    user: str
    amount: float


class Auction(Room[float]):
    def initial_state(self) -> float:
        return 0.0

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        return event != "forbidden"

    @on("bid")
    async def bid(self, member: Member, bid: Bid) -> Leading:
        self.broadcast("heard", bid.amount)
        if bid.amount <= self.state:
            raise Refuse("Bid more.", code="too_low", least=self.state + 1, by=[Leading("a", 1)])
        self.state = bid.amount
        return Leading(bid.by, bid.amount)

    @on("leader")
    def leader(self, member: Member) -> float:
        return self.state

    @on("close")
    async def _close(self, member: Member, why: JSON) -> None:
        await trio.lowlevel.checkpoint()
        self.broadcast("closed", why)

    @on("odd")
    def odd(self, member: Member) -> object:
        return {"bids": [1, {"by": {2}}]}


async def answers(
    room_class: type[Room[Any]], *said: tuple[str, JSON]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], FakeSink]:
    """Return what the sender is answered, what it hears, and the other's sink."""
    async with room_of(room_class, 2) as (room, members, sinks):
        for number, (event, data) in enumerate(said):
            room.ref.tell(ask(members[0], event, data, number))
        await trio.testing.wait_all_tasks_blocked()
        told = [orjson.loads(text) for text in sinks[0].texts]
    return [m for m in told if "id" in m], [m for m in told if "id" not in m], sinks[1]


async def test_the_answer_of_a_handler_goes_with_the_receipt_of_the_emit_that_asked() -> None:
    [bid, leader, closed], heard, other = await answers(
        Auction, ("bid", {"amount": 5, "by": "ann", "note": "more"}), ("leader", 1), ("close", [1])
    )
    assert bid["data"]["answer"] == {"user": "ann", "amount": 5}
    assert (bid["type"], bid["data"]["scope"]) == ("receipt", "local")
    assert leader["data"]["answer"] == 5
    assert "answer" not in closed["data"]
    assert other.said == [("heard", 5), ("closed", [1])]
    assert bid["data"]["id"] == heard[0]["meta"]["id"]


async def test_a_refusal_is_an_error_with_code_and_data_and_what_was_said_is_taken_back() -> None:
    [first, low, again], _, other = await answers(
        Auction, ("bid", {"amount": 5}), ("bid", {"amount": 5}), ("bid", {"amount": 6})
    )
    assert first["type"] == again["type"] == "receipt"
    assert (low["type"], low["error"], low["room"]) == ("error", "Bid more.", "room")
    least = {"code": "too_low", "least": 6, "by": [{"user": "a", "amount": 1}]}
    assert low["data"] == least
    assert other.said == [("heard", 5), ("heard", 6)]  # and the room was not restarted: see state


async def test_what_does_not_fit_is_refused_before_the_handler_runs() -> None:
    wrong, _, other = await answers(
        Auction, ("bid", {"amount": "9"}), ("bid", {}), ("bid", 5), ("bid", None)
    )
    assert other.said == []
    assert [(m["type"], m["data"]) for m in wrong] == [
        ("error", {"code": "wrong_data", "path": path}) for path in ("amount", "amount", "", "")
    ]
    assert [m["error"] for m in wrong] == [
        "The data of 'bid' does not fit: amount must be a number, not '9'.",
        "The data of 'bid' does not fit: amount is missing.",
        "The data of 'bid' does not fit: the data must be an object, not 5.",
        "The data of 'bid' does not fit: the data must be an object, not null.",
    ]


async def test_an_event_without_a_handler_is_refused_where_nobody_takes_the_rest() -> None:
    class Open(Auction):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            if event == "shout":
                raise Refuse("Not so loud.")
            self.broadcast(event, data)

    [unknown, forbidden], _, other = await answers(Auction, ("heard", 99), ("forbidden", 1))
    assert unknown["data"]["code"] == "unknown_event"
    assert "takes 'bid', 'leader', 'close', 'odd' and not 'heard'" in unknown["error"]
    assert forbidden["data"]["code"] == "room_forbidden"
    assert other.said == []
    [rest, loud, bid], _, other = await answers(
        Open, ("heard", 99), ("shout", 1), ("bid", {"amount": 1})
    )
    assert rest["type"] == bid["type"] == "receipt"
    assert loud["data"] == {"code": "refused"}
    assert other.said == [("heard", 99), ("heard", 1)]


async def test_an_answer_that_is_not_json_is_the_authors_fault_and_named_by_its_place() -> None:
    lost: list[Exception] = []

    class Odd(Auction):
        def on_lost(self, message: object, error: Exception) -> None:
            lost.append(error)

    [odd, leader], _, _ = await answers(Odd, ("odd", None), ("leader", None))
    assert odd["data"]["code"] == "room_crashed"
    assert leader["type"] == "receipt"
    assert str(lost[0]).startswith(f"{Odd.__qualname__}.odd ({__file__}:")
    assert "data.bids[1].by: Type is not JSON serializable: set" in str(lost[0])


async def test_a_subclass_may_override_a_handler_with_the_mark_or_without() -> None:
    class Quiet(Auction):
        async def bid(self, member: Member, bid: Bid) -> Leading:
            return Leading("quiet", bid.amount)

        @on("leader")
        def who_leads(self, member: Member) -> float:
            return -1.0

    [bid, leader], _, _ = await answers(Quiet, ("bid", {"amount": 1}), ("leader", None))
    assert bid["data"]["answer"] == {"user": "quiet", "amount": 1}
    assert leader["data"]["answer"] == -1


# -- what is judged when the class is written ------------------------------------------------


async def takes_too_much(self: Any, member: Member, data: JSON, more: int) -> None:
    """Take one more."""


def takes_a_set(self: Any, member: Member, data: set[int]) -> None:
    """Take what JSON has no word for."""


def takes_bytes_inside(self: Any, member: Member, data: Holder) -> None:
    """Take a class with such a field."""


def returns_a_member(self: Any, member: Member) -> Member:
    return member


def takes_the_unknown(self: Any, member: Member, data: Nowhere) -> None:  # type: ignore[name-defined] # noqa: F821
    """Take what nobody knows."""


async def yields(self: Any, member: Member) -> Any:
    yield member


@dataclass
class Holder:
    name: str
    held: list[bytes]


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (takes_too_much, "takes (self, member, data, more); a handler takes (self, member) or"),
        (takes_a_set, "takes set[int]: set[int] is nothing that JSON could say; use classes of"),
        (takes_bytes_inside, "takes Holder: its field 'held': bytes is nothing that JSON"),
        (returns_a_member, "returns Member: Member is nothing that JSON could say"),
        (takes_the_unknown, "cannot be read: name 'Nowhere' is not defined"),
        (yields, "take its `yield` out"),
    ],
)
def test_a_handler_that_cannot_be_one_is_refused_with_file_and_line(
    method: Callable[..., Any], told: str
) -> None:
    on("bid")(method)
    with pytest.raises(ActorDefinitionError) as refused:
        type("Auction", (Room,), {"bid": method})
    assert str(refused.value).startswith(f"Auction.bid ({__file__}:")
    assert told in str(refused.value)


def test_two_handlers_of_one_event_are_refused_with_both_their_lines() -> None:
    def twice(self: Any, member: Member) -> None:
        """Be one of two."""

    def again(self: Any, member: Member) -> None:
        """Be the other."""

    with pytest.raises(ActorDefinitionError) as refused:
        type("Auction", (Room,), {"twice": on("bid")(twice), "again": on("bid")(again)})
    assert str(refused.value).startswith(f"Auction handles 'bid' twice: in twice ({__file__}:")
    assert f"and in again ({__file__}:" in str(refused.value)


def test_a_hook_is_no_handler_and_names_that_nobody_can_emit_are_refused() -> None:
    with pytest.raises(ActorDefinitionError, match="is a hook, and cannot handle messages too"):

        class Both(Room):
            @on("join")
            async def on_join(self, member: Member) -> None:
                """Be both."""

    for name in ("", None, on, "system:degraded", "leave me", "x" * 129, "*"):
        with pytest.raises(ActorDefinitionError, match="@on"):
            on(name)  # type: ignore[arg-type] # what is tried


def test_a_class_of_a_function_may_stand_in_an_annotation() -> None:
    @frozen
    class Local:
        amount: int

    class Inside(Room):
        @on("bid")
        def on_bid(self, member: Member, bid: Local) -> Local:
            return bid

    assert Inside.__answers__["bid"].build is not None


@pytest.mark.parametrize("code", ["room_closed", "too_fast", "Too low", "", None])
def test_a_refusals_code_means_nothing_to_clients_yet(code: Any) -> None:
    with pytest.raises(ActorDefinitionError, match="code"):
        Refuse("No.", code=code)


def test_a_refusals_data_leaves_to_clients_what_means_something_to_them() -> None:
    with pytest.raises(ActorDefinitionError, match="'retryAfter' means something to clients"):
        Refuse("No.", retryAfter=5)


def test_a_refusals_data_is_json_or_named_by_its_place() -> None:
    with pytest.raises(Exception, match=r"data\.bids\[0\]: Type is not JSON serializable: object"):
        Refuse("No.", bids=[object()])


# -- payloads --------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Point(TypedDict):
    x: int
    label: NotRequired[str | None]


@attrs.define
class Node:
    name: str
    kids: list[Node] = attrs.field(factory=list)


@attrs.frozen
class Strict:
    amount: int = attrs.field(validator=attrs.validators.gt(0))


@dataclass
class Drawing:
    points: Sequence[Point]
    by: Mapping[str, Bid] = field(default_factory=dict)
    colour: Colour | None = None


User = NewType("User", str)
Pair = Annotated[tuple[int, str], "x"]

FITS: list[tuple[object, Any, object]] = [
    (int, 5, 5),
    (float, 5, 5),
    (bool, True, True),
    (type(None), None, None),
    (User, "ann", "ann"),
    (JSON, {"a": [1]}, {"a": [1]}),
    (dict[str, JSON], {"a": [1]}, {"a": [1]}),
    (list[JSON] | None, [None], [None]),
    (int | str | None, "x", "x"),
    (Bid | list[int], [1], [1]),
    (Literal["a", 1], 1, 1),
    (Colour, "red", Colour.RED),
    (Pair, [1, "x"], (1, "x")),
    (tuple[int, ...], [1, 2], (1, 2)),
    (list[Bid], [{"amount": 1}], [Bid(1)]),
    (dict[str, Colour], {"a": "red"}, {"a": Colour.RED}),
    (Point, {"x": 1, "label": None, "more": 2}, {"x": 1, "label": None}),
    (Node, {"name": "a", "kids": [{"name": "b"}]}, Node("a", [Node("b")])),
    (Drawing, {"points": [{"x": 1}], "colour": "red"}, Drawing([{"x": 1}], {}, Colour.RED)),
    (list, [1, "x"], [1, "x"]),
    (dict, {"a": 1}, {"a": 1}),
]

FAULTS: list[tuple[object, Any, str, str]] = [
    (int, True, "", "must be a whole number, not true"),
    (int, 5.0, "", "must be a whole number, not 5.0"),
    (int, "5", "", "must be a whole number, not '5'"),
    (str, None, "", "must be a text, not null"),
    (list[str], "abc", "", "must be a list, not 'abc'"),
    (dict[str, int], [1], "", "must be an object, not a list"),
    (list[Bid], [{"amount": 1}, {"amount": "x" * 99}], "[1].amount", "must be a number, not 'xxx"),
    (dict[str, Bid], {"ann": {}}, "ann.amount", "is missing"),
    (Bid | None, {"amount": None}, "amount", "must be a number, not null"),
    (int | str, [], "", "must be a whole number or a text, not a list"),
    (Literal["a", 1], True, "", "must be one of 'a', 1, not true"),
    (Colour, "blue", "", "must be one of 'red', not 'blue'"),
    (Pair, [1], "", "must be a list of 2, not a list"),
    (list[Pair], [[1, "x"], [1, 2]], "[1][1]", "must be a text, not 2"),
    (Point, {"x": "1"}, "x", "must be a whole number, not '1'"),
    (Point, {}, "x", "is missing"),
    (Node, {"name": "a", "kids": [{"name": "b", "kids": [{}]}]}, "kids[0].kids[0].name", "missing"),
    (Strict, {"amount": 0}, "", "'amount' must be > 0"),
    (Drawing, {"points": [{"x": 1}, {"x": None}]}, "points[1].x", "must be a whole number"),
]


@pytest.mark.parametrize(("kind", "sent", "built"), FITS, ids=str)
def test_what_fits_is_built(kind: object, sent: Any, built: object) -> None:
    assert Build(kind)(sent) == built


@pytest.mark.parametrize(("kind", "sent", "path", "told"), FAULTS, ids=str)
def test_what_does_not_fit_is_told_with_its_place(
    kind: object, sent: Any, path: str, told: str
) -> None:
    with pytest.raises(WrongPayload) as caught:
        Build(kind)(sent)
    assert caught.value.path == path
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [bytes, set[int], dict[int, str], list[object | bytes], Room, Awaitable[int], tuple[Room, int]],
)
def test_what_json_cannot_say_is_no_payload(kind: object) -> None:
    with pytest.raises(NoPayload):
        Build(kind)


def test_a_fault_in_an_authors_own_code_is_not_the_clients() -> None:
    @frozen
    class Broken:
        amount: int

        def __attrs_post_init__(self) -> None:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Build(Broken)({"amount": 1})
