"""What operators make of a document, and what is refused instead of kept."""

from __future__ import annotations

from typing import Any

import pytest

from deployd.config import Definition, read_definition
from deployd.documents import RequestRefused
from deployd.documents.collections import changed, created
from deployd.documents.users import Caller

NOW = 1_795_593_600.0
TODOS = read_definition(
    "todos",
    {
        "properties": {
            "title": {"type": "string", "required": True},
            "votes": {"type": "number"},
            "tags": {"type": "array"},
            "due": {"type": "date"},
        }
    },
)
LOOSE = Definition("loose")


def after(current: dict[str, Any], changes: Any, definition: Definition = LOOSE) -> dict[str, Any]:
    document = {"id": "d", "createdAt": "c", "updatedAt": "u", **current}
    found = changed(definition, document, changes, Caller(), NOW)
    return {k: v for k, v in found.items() if k not in ("id", "createdAt", "updatedAt")}


def refusals(
    current: dict[str, Any], changes: Any, definition: Definition = LOOSE
) -> dict[str, str]:
    with pytest.raises(RequestRefused) as caught:
        after(current, changes, definition)
    assert caught.value.status == 400
    return {error.field: error.message for error in caught.value.errors}


@pytest.mark.parametrize(
    ("current", "change", "expected"),
    [
        ({"n": 41}, {"$inc": 1}, {"n": 42}),
        ({"n": 41}, {"$inc": -0.5}, {"n": 40.5}),
        ({}, {"$inc": 3}, {"n": 3}),
        ({"n": None}, {"$inc": 3}, {"n": 3}),
        ({"n": 2**63 - 1}, {"$inc": 1}, {"n": 2.0**63}),
        ({"n": [1]}, {"$push": 1}, {"n": [1, 1]}),
        ({"n": [1]}, {"$push": [2, {"a": 1}]}, {"n": [1, [2, {"a": 1}]]}),
        ({}, {"$push": None}, {"n": [None]}),
        ({"n": [1, 1.0, True, "1", 2]}, {"$pull": 1}, {"n": [True, "1", 2]}),
        ({"n": [{"a": [1]}, {"a": [True]}]}, {"$pull": {"a": [1.0]}}, {"n": [{"a": [True]}]}),
        ({}, {"$pull": 1}, {"n": []}),
        ({"n": [1]}, {"$addToSet": 1.0}, {"n": [1]}),
        ({"n": [1]}, {"$addToSet": True}, {"n": [1, True]}),
        ({"n": 1, "m": 2}, {"$unset": True}, {"m": 2}),
        ({}, {"$unset": True}, {}),
    ],
    ids=str,
)
def test_an_operator_makes_the_new_value_of_the_old(
    current: dict[str, Any], change: Any, expected: dict[str, Any]
) -> None:
    found = after(current, {"n": change})
    assert found == expected
    assert [type(value) for value in found.values()] == [type(v) for v in expected.values()]


def test_the_document_that_was_there_is_left_as_it_was() -> None:
    current: dict[str, Any] = {"tags": [1]}
    after(current, {"tags": {"$push": 2}})
    assert current == {"tags": [1]}


@pytest.mark.parametrize(
    ("current", "change", "words"),
    [
        ({"n": "1"}, {"$inc": 1}, "no number"),
        ({"n": True}, {"$inc": 1}, "no number"),
        ({}, {"$inc": "1"}, "not by"),
        ({}, {"$inc": True}, "not by"),
        ({"n": 1e308}, {"$inc": 1e308}, "JSON does not have"),
        ({"n": "a"}, {"$push": 1}, "no array"),
        ({"n": {}}, {"$pull": 1}, "no array"),
        ({"n": [1]}, {"$pull": {"$gt": 0}}, "no conditions"),
        ({}, {"$push": {"$each": [1]}}, "'$each'"),
        ({}, {"$unset": 1}, '{"$unset": true}'),
        ({}, {"$set": 1}, "known are $inc, $push, $pull, $addToSet, $unset"),
        ({}, {"$inc": 1, "$push": 1}, "one operator at a time"),
        ({}, {"$inc": 1, "a": 1}, "one operator at a time"),
        ({}, {"a": {"$inc": 1}}, "'$inc'"),
        ({}, [{"$ref": "a"}], "'$ref'"),
        ({}, {"a": [{"b.c": 1}]}, "'b.c'"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused(
    current: dict[str, Any], change: Any, words: str
) -> None:
    assert words in refusals(current, {"n": change})["n"]


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"title": {"$inc": 1}}, "title", "declared as string, and $inc is for numbers"),
        ({"votes": {"$push": 1}}, "votes", "declared as number, and $push is for arrays"),
        ({"due": {"$inc": 1000}}, "due", "declared as date"),
        ({"title": {"$unset": True}}, "title", "is required"),
        ({"$inc": {"votes": 1}}, "$inc", 'as in {"votes": {"$inc": '),
        ({"address.city": "Wien"}, "address.city", "is a path and no name"),
    ],
    ids=str,
)
def test_the_definition_says_what_an_operator_may_do(
    changes: dict[str, Any], name: str, words: str
) -> None:
    assert words in refusals({"title": "a"}, changes, TODOS)[name]


def test_all_that_is_wrong_is_named() -> None:
    wrong = refusals({"title": "a"}, {"votes": {"$push": 1}, "tags": {"$inc": 1}}, TODOS)
    assert sorted(wrong) == ["tags", "votes"]


@pytest.mark.parametrize(
    "data", [{"n": {"$inc": 1}}, {"n": {"$gt": {"a": 1}}}, {"a.b": 1}], ids=str
)
def test_a_new_document_takes_values_alone(data: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused) as caught:
        created(LOOSE, data, Caller(), "d", NOW)
    assert [error.field for error in caught.value.errors] == list(data)
