"""What is said of annotations in JSON Schema is what is built, and what is answered."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import attrs
import orjson
import pytest
from jsonschema import Draft7Validator

from deployd.actors import JSON
from deployd.actors.rooms.handlers.json_schema import Schemas, may_be_left_out
from deployd.actors.rooms.handlers.payloads import Build, WrongPayload, plain_of


@attrs.frozen
class Offer:
    """What somebody gives.

    In whole cents.
    """

    amount: int
    note: str = ""


@attrs.frozen
class Branch:
    name: str
    kids: list[Branch]


class Spot(TypedDict):
    x: int
    label: NotRequired[str | None]


class Hue(enum.Enum):
    RED = "red"
    NONE = None
    ODD = object()


@dataclass
class Sketch:
    spots: Sequence[Spot]
    by: Mapping[str, Offer] = field(default_factory=dict)
    hue: Hue = Hue.RED
    secret: int = field(default=0, init=False)


Name = NewType("Name", str)
KINDS: list[tuple[object, list[Any], list[Any]]] = [
    (JSON, [None, 1, {"a": []}], []),
    (bool, [True], [1, "true"]),
    (int, [5], [5.5, True, "5", None]),
    (float, [5, 5.5], ["5", True]),
    (Name, ["ann"], [1]),
    (type(None), [None], [0, ""]),
    (Literal["a", 1], ["a", 1], ["b", 2]),
    (Hue, ["red", None], ["blue", {}]),
    (int | str | None, [1, "x", None], [1.5, []]),
    (Offer | list[int], [{"amount": 1}, [1]], [["x"], {}]),
    (list, [[1, "x"]], [{}]),
    (list[str], [[], ["a"]], [[1], "a"]),
    (dict, [{"a": 1}], [[]]),
    (dict[str, Hue], [{"a": "red"}], [{"a": "blue"}, []]),
    (Annotated[tuple[int, str], "x"], [[1, "a"]], [[1], [1, 2], [1, "a", "b"]]),
    (tuple[int, ...], [[], [1, 2]], [["a"], 1]),
    (Offer, [{"amount": 1}, {"amount": 1, "note": "x", "more": 1}], [{}, {"amount": "1"}, []]),
    (Branch, [{"name": "a", "kids": [{"name": "b", "kids": []}]}], [{"name": "a", "kids": [{}]}]),
    (Spot, [{"x": 1}, {"x": 1, "label": None}], [{}, {"x": 1, "label": 2}]),
    (Sketch, [{"spots": [{"x": 1}]}], [{"spots": [{}]}, {"spots": [], "by": {"ann": {}}}]),
]


def validator(schemas: Schemas, schema: dict[str, JSON]) -> Draft7Validator:
    whole = {**schema, "components": {"schemas": schemas.named}}
    if "$ref" in schema:  # nothing counts beside it
        whole = {"allOf": [schema], "components": {"schemas": schemas.named}}
    Draft7Validator.check_schema(whole)
    return Draft7Validator(whole)


@pytest.mark.parametrize(("kind", "fits", "does_not"), KINDS, ids=str)
def test_what_the_schema_allows_is_built_and_nothing_else(
    kind: object, fits: list[Any], does_not: list[Any]
) -> None:
    schemas, build = Schemas(), Build(kind)
    judge = validator(schemas, schemas.sent(kind))
    for value in fits:
        assert judge.is_valid(value), value
        build(value)
    for value in does_not:
        assert not judge.is_valid(value), value
        with pytest.raises(WrongPayload):
            build(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Offer, Offer(1)),
        (Sketch, Sketch([{"x": 1}], {"ann": Offer(2)}, Hue.NONE)),
        (list[Branch], [Branch("a", [Branch("b", [])])]),
        (tuple[int, Hue], (1, Hue.RED)),
    ],
    ids=str,
)
def test_what_is_answered_is_as_the_schema_says(kind: object, value: object) -> None:
    schemas = Schemas()
    judge = validator(schemas, schemas.answered(kind))
    judge.validate(orjson.loads(orjson.dumps(plain_of(value))))


def test_what_has_a_default_may_be_left_out_of_what_is_sent_and_is_always_answered() -> None:
    schemas = Schemas()
    assert schemas.sent(Offer) == {"$ref": "#/components/schemas/Offer"}
    assert schemas.answered(Offer) == {"$ref": "#/components/schemas/OfferAnswer"}
    assert schemas.named["Offer"]["required"] == ["amount"]
    assert schemas.named["OfferAnswer"]["required"] == ["amount", "note"]
    assert schemas.answered(list[Sketch])["items"] == {"$ref": "#/components/schemas/Sketch"}
    assert schemas.named["Sketch"]["required"] == ["spots", "by", "hue"]


def test_where_it_makes_no_difference_a_class_is_described_once() -> None:
    schemas = Schemas()
    assert schemas.sent(Branch) == schemas.answered(Branch)
    assert schemas.sent(Spot) == schemas.answered(Spot)
    assert list(schemas.named) == ["Branch", "Spot"]


def test_classes_of_one_name_are_told_apart_and_names_may_be_taken_before() -> None:
    other = attrs.make_class("Spot", {"y": attrs.field(type=int)})
    schemas = Schemas(taken=["Offer"])
    schemas.sent(Spot)
    assert schemas.sent(other) == {"$ref": "#/components/schemas/Spot2"}
    assert schemas.sent(Offer) == {"$ref": "#/components/schemas/Offer2"}


def test_what_an_author_says_of_a_class_is_told_and_what_python_says_is_not() -> None:
    schemas = Schemas()
    schemas.sent(Sketch)
    assert schemas.named["Offer"]["description"] == "What somebody gives.\n\nIn whole cents."
    assert "description" not in schemas.named["Sketch"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(JSON, True), (int | None, True), (Literal["a", None], True), (None, True), (int, False)],
    ids=str,
)
def test_null_may_be_left_out(kind: object, expected: bool) -> None:
    assert may_be_left_out(Schemas().sent(kind)) is expected
