"""From what a client sends to the document that is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.config import Definition, Permissions, Property, PropertyType, Right, read_definition
from deployd.documents import RequestRefused
from deployd.documents.collections import changed, checked, created, shown
from deployd.documents.collections import chosen_id as chosen
from deployd.documents.users import Caller
from deployd.transport import Identity

NOW = 1_795_593_600.0  # 2026-11-25T08:00:00Z
DATE = "2026-11-25T08:00:00.000Z"
NOBODY = Caller()
ADA = Caller(Identity("ada", "Ada", is_root=False, expires_at=None))
ROOT = Caller(Identity("root", "root", is_root=True, expires_at=None))
TODOS = read_definition(
    "todos",
    {
        "properties": {
            "title": {"type": "string", "required": True},
            "done": {"type": "boolean", "default": False},
            "tags": {"type": "array", "default": []},
            "due": {"type": "date", "default": "now"},
            "weight": {"type": "number"},
            "place": {"type": "object"},
        }
    },
)
OWNED = Definition("notes", owner="author", access=Permissions(put=Right.OWNER))


def make(data: Any, definition: Definition = TODOS, caller: Caller = NOBODY) -> dict[str, Any]:
    return dict(created(definition, data, caller, "d1", NOW))


def refusals(data: Any, definition: Definition = TODOS) -> dict[str, str]:
    with pytest.raises(RequestRefused) as caught:
        make(data, definition)
    assert caught.value.status == 400
    return {error.field: error.message for error in caught.value.errors}


def test_a_new_document_has_its_defaults_its_times_and_what_was_sent() -> None:
    assert make({"title": "Buy milk", "extra": {"a": [1, None]}}) == {
        "id": "d1",
        "title": "Buy milk",
        "extra": {"a": [1, None]},
        "done": False,
        "tags": [],
        "due": DATE,
        "createdAt": DATE,
        "updatedAt": DATE,
    }


def test_a_default_is_never_shared_between_documents() -> None:
    make({"title": "a"})["tags"].append("spoilt")
    assert make({"title": "b"})["tags"] == []


def test_null_is_kept_and_is_no_value_for_what_is_required() -> None:
    assert make({"title": "a", "done": None})["done"] is None
    assert refusals({"title": None}) == {"title": "is required"}


def test_times_and_ids_of_clients_count_for_nothing() -> None:
    document = make({"title": "a", "id": "mine", "createdAt": 1, "updatedAt": "x"})
    assert (document["id"], document["createdAt"], document["updatedAt"]) == ("d1", DATE, DATE)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("title", 1, "must be a string"),
        ("done", "yes", "must be true or false"),
        ("done", 1, "must be true or false"),
        ("weight", "1", "must be a number"),
        ("weight", True, "must be a number"),
        ("tags", {}, "must be an array"),
        ("place", [], "must be an object"),
        ("due", "soon", "must be a date such as"),
        ("due", True, "must be a date such as"),
        ("due", [], "must be a date such as"),
        ("$set", 1, "cannot be a name"),
        ("$inc", {"votes": 1}, 'as in {"votes": {"$inc": '),
        ("", 1, "cannot be a name"),
        ("note", "a\0b", "NUL"),
        ("note", {"deep": ["a\0"]}, "NUL"),
        ("note", {"\0": 1}, "NUL"),
        ("note", 10**400, "number that JSON does not have"),
        ("note", float("nan"), "number that JSON does not have"),
        ("note", float("inf"), "number that JSON does not have"),
    ],
)
def test_a_property_that_will_not_do_is_named(name: str, value: Any, words: str) -> None:
    errors = refusals({"title": "a", name: value})
    assert list(errors) == [name]
    assert words in errors[name]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(refusals({"done": 3, "weight": []})) == {"title", "done", "weight"}


def test_nesting_ends_somewhere() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    assert "nested deeper" in refusals({"title": "a", "note": value})["note"]


def test_dates_are_kept_in_one_form() -> None:
    assert make({"title": "a", "due": "2026-11-25"})["due"] == "2026-11-25T00:00:00.000Z"
    assert make({"title": "a", "due": 1_795_593_600_000})["due"] == DATE


def test_whole_numbers_beyond_64_bits_become_doubles_wherever_they_are() -> None:
    document = make({"title": "a", "n": [2**63, -(2**63), {"m": -(2**63) - 1}]})
    assert document["n"] == [float(2**63), -(2**63), {"m": float(-(2**63) - 1)}]
    assert [type(n) for n in document["n"][:2]] == [float, int]


def test_a_whole_number_is_kept_as_one_however_it_is_written() -> None:
    document = make({"title": "a", "weight": 3.0, "big": 9223372036854774784.0, "yes": True})
    assert [repr(document[name]) for name in ("weight", "big", "yes")] == [
        "3",
        "9223372036854774784",
        "True",
    ]


def test_a_strict_collection_keeps_nothing_else() -> None:
    strict = Definition("s", {"a": Property(PropertyType.STRING)}, strict=True)
    assert "is not a property of 's'" in refusals({"a": "x", "b": 1}, strict)["b"]


def test_a_change_leaves_what_it_does_not_name() -> None:
    before = make({"title": "a", "extra": 1})
    after = changed(TODOS, before, {"title": "b", "createdAt": "x"}, NOBODY, NOW + 60)
    assert after == {**before, "title": "b", "updatedAt": "2026-11-25T08:01:00.000Z"}
    assert before["title"] == "a"


def test_a_change_may_repeat_the_id_and_not_change_it() -> None:
    before = make({"title": "a"})
    assert changed(TODOS, before, {"id": "d1"}, NOBODY, NOW)["id"] == "d1"
    with pytest.raises(RequestRefused, match="id cannot be changed"):
        changed(TODOS, before, {"id": "d2"}, NOBODY, NOW)


def test_a_change_is_held_to_the_definition_too() -> None:
    with pytest.raises(RequestRefused, match="title is required"):
        changed(TODOS, make({"title": "a"}), {"title": None}, NOBODY, NOW)


def test_the_owner_is_who_creates_and_nobody_else() -> None:
    assert make({}, OWNED, ADA)["author"] == "ada"
    assert make({"author": "ada"}, OWNED, ADA)["author"] == "ada"
    assert "author" not in make({}, OWNED, NOBODY)
    assert make({"author": "ben"}, OWNED, ROOT)["author"] == "ben"
    for caller, word in ((ADA, "is you"), (NOBODY, "signed in")):
        with pytest.raises(RequestRefused, match=word):
            make({"author": "ben"}, OWNED, caller)


@pytest.mark.parametrize("right", ["get", "post", "put", "delete"])
def test_whichever_right_is_an_owners_a_new_document_has_one(right: str) -> None:
    owned = Definition("notes", access=Permissions(**{right: Right.OWNER}))
    assert make({}, owned, ADA)["ownerId"] == "ada"
    with pytest.raises(RequestRefused, match="is you"):
        make({"ownerId": "ben"}, owned, ADA)


def test_only_root_gives_a_document_away() -> None:
    before = make({}, OWNED, ADA)
    with pytest.raises(RequestRefused, match="given away"):
        changed(OWNED, before, {"author": "ben"}, ADA, NOW)
    assert changed(OWNED, before, {"author": "ben"}, ROOT, NOW)["author"] == "ben"


def test_without_rules_for_owners_nobody_is_made_one() -> None:
    assert "ownerId" not in make({"title": "a"}, TODOS, ADA)
    assert make({"title": "a", "ownerId": "ben"}, TODOS, ADA)["ownerId"] == "ben"


@pytest.mark.parametrize("given", [None, ""])
def test_without_an_id_a_document_is_given_a_new_one(given: str | None) -> None:
    ids = {chosen({"id": given}) for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 24 for one in ids)


def test_a_client_may_choose_an_id_that_can_stand_in_a_path() -> None:
    assert chosen({"id": "my-todo_1"}) == "my-todo_1"
    bad: Any
    for bad in ("a/b", "count", "ä", "x" * 65, "a b", 7, ["a"]):
        with pytest.raises(RequestRefused, match="id must be"):
            chosen({"id": bad})


def test_what_is_private_or_hidden_is_not_shown() -> None:
    users = Definition("u", {"password": Property(PropertyType.STRING, private=True)})
    document: dict[str, Any] = {"id": "1", "password": "x", "mail": "y", "name": "z"}
    assert shown(users, document, frozenset({"mail"})) == {"id": "1", "name": "z"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
def test_a_document_that_is_kept_is_kept_again_as_it_is(data: dict[str, Any]) -> None:
    try:
        document = make({"title": "a", **data})
    except RequestRefused:
        return
    assert checked(TODOS, document) == document


# -- documents that are older than their definition ------------------------------------------

STRICT = read_definition(
    "todos",
    {
        "strict": True,
        "properties": {
            "title": {"type": "string", "required": True},
            "weight": {"type": "number"},
        },
    },
)
OLD: dict[str, Any] = {
    "id": "d1",
    "old": "gone from the definition",
    "weight": "12",
    "createdAt": DATE,
    "updatedAt": DATE,
}
"""A document without what is required now, with what is not defined any more, and of a type that
was another."""


def change(data: Any, before: dict[str, Any] = OLD, definition: Definition = STRICT) -> Any:
    """Return what a change makes of a document, but for when that was."""
    after = changed(definition, dict(before), data, NOBODY, NOW)
    assert str(after["updatedAt"]) > str(before["updatedAt"])
    return {**after, "updatedAt": before["updatedAt"]}


def change_refusals(data: Any, before: dict[str, Any] = OLD) -> dict[str, str]:
    with pytest.raises(RequestRefused) as caught:
        change(data, before)
    return {error.field: error.message for error in caught.value.errors}


def test_whoever_changes_one_property_answers_for_no_other() -> None:
    assert change({"title": "new"}) == {**OLD, "title": "new"}
    assert change(OLD) == OLD
    assert change({"weight": 12}) == {**OLD, "weight": 12}


def test_what_is_not_defined_any_more_can_be_emptied_and_not_changed() -> None:
    assert change({"old": None}) == {name: value for name, value in OLD.items() if name != "old"}
    assert list(change_refusals({"old": "other"})) == ["old"]
    assert list(change_refusals({"never": None})) == ["never"]


def test_what_fits_can_never_be_changed_so_that_it_does_not() -> None:
    fitting = {**OLD, "title": "a", "weight": 1}
    assert list(change_refusals({"title": None}, fitting)) == ["title"]
    assert list(change_refusals({"weight": "1"}, fitting)) == ["weight"]
    assert list(change_refusals({"weight": True}, fitting)) == ["weight"]  # in Python, 1 == True
    assert list(change_refusals({"weight": "13"})) == ["weight"]
    nested = {**fitting, "weight": [{"a": 1}]}
    assert change({"weight": [{"a": 1}]}, nested) == nested
    assert list(change_refusals({"weight": [{"a": True}]}, nested)) == ["weight"]


def test_a_new_document_fits_whatever_others_look_like() -> None:
    assert set(refusals({"old": "x", "weight": "12"}, STRICT)) == {"title", "old", "weight"}
