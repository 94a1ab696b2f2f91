"""What clients may ask: URL parameters and JSON objects, and what is said about mistakes."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.config import Definition
from deployd.documents.errors import QueryError
from deployd.documents.store import (
    All,
    Any,
    Compare,
    ElementMatches,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Order,
    Query,
    Size,
    SortKey,
    matches,
    parse_query,
    read_query,
)
from support.queries import DEFINITION, JSON, Document, searches

UNDECLARED = Definition("loose")


def parsed(*params: tuple[str, str]) -> Query:
    return parse_query(params, DEFINITION)


def wants(*params: tuple[str, str]) -> Filter:
    return parsed(*params).filter


def reads(value: Document) -> Filter:
    return read_query(value, DEFINITION).filter


def refusal(value: Document) -> str:
    with pytest.raises(QueryError) as caught:
        read_query(value, DEFINITION)
    return str(caught.value)


def url_refusal(*params: tuple[str, str]) -> str:
    with pytest.raises(QueryError) as caught:
        parsed(*params)
    return str(caught.value)


def equal(path: str, *values: str | int | float | bool | None) -> Equal:
    return Equal(tuple(path.split(".")), values)


ADULT = Compare(("age",), Order.AT_LEAST, 18)
MINOR = Compare(("age",), Order.BELOW, 18)


def test_no_parameters_want_every_document() -> None:
    assert parsed() == Query()
    assert read_query({}, DEFINITION) == Query()


@pytest.mark.parametrize(
    ("params", "filter_"),
    [
        ([("title", "Shopping")], equal("title", "Shopping")),
        ([("title", '"x"')], equal("title", "x")),
        ([("title", "")], equal("title", "")),
        ([("done", "false")], equal("done", False)),
        ([("done", "null")], equal("done", None)),
        ([("age", "18")], equal("age", 18)),
        ([("age", "18.5")], equal("age", 18.5)),
        ([("age", '{"$gte":18}')], ADULT),
        ([("age.$gte", "18")], ADULT),
        ([("age.$not.$gte", "18")], Not(ADULT)),
        ([("tags.$in", '["a","b"]')], equal("tags", "a", "b")),
        ([("address.city", '"x"')], equal("address.city", "x")),
        ([("address", '{"city":"x"}')], equal("address.city", "x")),
        ([("address", '{"city":{"$ne":"x"}}')], Not(equal("address.city", "x"))),
        ([("$or", '[{"age":{"$gte":18}},{"done":true}]')], Any((ADULT, equal("done", True)))),
        ([("age.$gte", "18"), ("done", "true")], All((ADULT, equal("done", True)))),
    ],
    ids=str,
)
def test_each_way_to_write_a_parameter(params: list[tuple[str, str]], filter_: Filter) -> None:
    assert wants(*params) == filter_


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", "12"), ("01234", "01234"), ("1e3", "1e3"), ("true", "true"), ("-0", "-0")],
)
@pytest.mark.parametrize("name", ["title", "id"])
def test_a_bare_number_is_a_text_for_a_property_of_texts(name: str, text: str, value: str) -> None:
    assert wants((name, text)) == equal(name, value)
    assert wants((f"{name}.$ne", text)) == Not(equal(name, value))


def test_a_text_property_takes_json_where_it_is_not_bare() -> None:
    assert wants(("title", "null")) == equal("title", None)
    assert wants(("title", '{"$ne":"1"}')) == Not(equal("title", "1"))
    assert wants(("title.$in", '["1"]')) == equal("title", "1")
    assert wants(("title.$exists", "true")) == Exists(("title",))
    assert '"title" is a string, which 1 is not' in url_refusal(("title.$in", "[1]"))
    assert wants(("x", "01234")) == equal("x", "01234")


def test_a_pattern_is_always_a_text() -> None:
    assert wants(("x.$regex", "12")) == Matches(("x",), "12")
    assert wants(("x.$regex", "^a"), ("x.$options", "i")) == Matches(("x",), "^a", True)


@pytest.mark.parametrize("text", ["{", '{"$gte":18', "[1,", '"x', "{'a': 1}", '"\ud800"'])
def test_text_that_begins_like_json_and_is_none_is_refused_by_name(text: str) -> None:
    assert '"age" begins like JSON' in url_refusal(("age", text))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "0x10", "x{", "True", "9" * 400])
def test_text_that_is_no_json_stands_for_itself(text: str) -> None:
    assert wants(("x", text)) == equal("x", text)


def test_parameters_that_were_one_object_are_one_again() -> None:
    assert wants(("age.$not.$gte", "18"), ("age.$not.$lt", "18")) == Not(All((ADULT, MINOR)))
    assert wants(("age.$gte", "18"), ("age", '{"$lt":18}')) == All((ADULT, MINOR))


@pytest.mark.parametrize(
    ("params", "filters"),
    [
        ([("tags", "a"), ("tags", "b")], (equal("tags", "a"), equal("tags", "b"))),
        ([("age", "1"), ("age.$gte", "18")], (equal("age", 1), ADULT)),
        ([("age.$gte", "18"), ("age", "1")], (ADULT, equal("age", 1))),
        ([("x", "1"), ("x.y", "2")], (equal("x", 1), equal("x.y", 2))),
        ([("x.y", "2"), ("x.$exists", "true")], (equal("x.y", 2), Exists(("x",)))),
        (
            [("$or", '[{"x":1}]'), ("$or", '[{"x":2}]')],
            (Any((equal("x", 1),)), Any((equal("x", 2),))),
        ),
    ],
    ids=str,
)
def test_parameters_that_meet_at_one_place_must_all_hold(
    params: list[tuple[str, str]], filters: tuple[Filter, ...]
) -> None:
    assert wants(*params) == All(filters)


def test_options_may_be_dotted_but_are_said_once() -> None:
    query = parsed(("$sort.createdAt", "-1"), ("$sort.address.city", "1"), ("$limit", "5"))
    assert query.sort == (SortKey(("createdAt",), descending=True), SortKey(("address", "city")))
    assert (query.limit, query.filter) == (5, All())
    assert '"$limit" is said twice' in url_refusal(("$limit", "5"), ("$limit", "5"))
    assert "said twice" in url_refusal(("$sort.x", "1"), ("$sort", '{"x":-1}'))
    assert parsed(("$sort.id", "1")).sort == (SortKey(("id",)),)
    assert len(parsed(("$sort.x.y", "1"), ("$sort.x", "1")).sort) == 2


def test_options_stand_beside_conditions_that_are_apart() -> None:
    query = parsed(("tags", "a"), ("$skip", "2"), ("tags", "b"))
    assert (query.skip, len(query.filter.filters if isinstance(query.filter, All) else ())) == (
        2,
        2,
    )


def flat(value: JSON, name: str = "") -> list[tuple[str, str]]:
    """Take an object apart as existing clients do: dotted names, the leaves JSON."""
    if isinstance(value, dict) and (value or not name):
        return [
            param
            for key, inner in value.items()
            for param in flat(inner, f"{name}.{key}" if name else key)
        ]
    return [(name, json.dumps(value))]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(searches())
def test_a_query_means_the_same_as_json_and_as_parameters(
    search: tuple[list[Document], list[Document]],
) -> None:
    those, asked = search
    for query in asked:
        said = {key: value for key, value in query.items() if value != {}}
        expected = read_query(said, UNDECLARED)
        for params in (flat(said), [(key, json.dumps(value)) for key, value in said.items()]):
            found = parse_query(params, UNDECLARED)
            assert evolve(found, filter=All()) == evolve(expected, filter=All())
            assert [matches(found.filter, one) for one in those] == [
                matches(expected.filter, one) for one in those
            ]


@pytest.mark.parametrize(
    ("operators", "filter_"),
    [
        ({"$eq": 1}, equal("age", 1)),
        ({"$eq": None}, equal("age", None)),
        ({"$ne": 1}, Not(equal("age", 1))),
        ({"$gt": 1}, Compare(("age",), Order.ABOVE, 1)),
        ({"$lt": 1.5}, Compare(("age",), Order.BELOW, 1.5)),
        ({"$lte": 1}, Compare(("age",), Order.AT_MOST, 1)),
        ({"$in": [1, 2.5, None]}, equal("age", 1, 2.5, None)),
        ({"$in": []}, equal("age")),
        ({"$nin": [1]}, Not(equal("age", 1))),
        ({"$exists": True}, Exists(("age",))),
        ({"$exists": False}, Not(Exists(("age",)))),
        ({"$not": {"$gte": 18}}, Not(ADULT)),
        ({"$not": {"$gte": 18, "$lt": 18}}, Not(All((ADULT, MINOR)))),
        ({"$not": {"$not": {"$gte": 18}}}, Not(Not(ADULT))),
        ({"$gte": 18, "$lt": 18}, All((ADULT, MINOR))),
    ],
    ids=str,
)
def test_each_operator(operators: JSON, filter_: Filter) -> None:
    assert reads({"age": operators}) == filter_


@pytest.mark.parametrize(
    ("operators", "filter_"),
    [
        ({"$gte": "a"}, Compare(("x",), Order.AT_LEAST, "a")),
        ({"$in": [1, "a", True, None]}, equal("x", 1, "a", True, None)),
        ({"$regex": "^a"}, Matches(("x",), "^a")),
        ({"$regex": "^a", "$options": ""}, Matches(("x",), "^a")),
        ({"$options": "i", "$regex": "^a"}, Matches(("x",), "^a", True)),
        ({"$size": 2}, Size(("x",), 2)),
        ({"$all": ["a"]}, equal("x", "a")),
        ({"$all": ["a", 1]}, All((equal("x", "a"), equal("x", 1)))),
        ({"$elemMatch": {"$gt": 1}}, ElementMatches(("x",), Compare((), Order.ABOVE, 1))),
        (
            {"$elemMatch": {"sku": 5, "in.box": True}},
            ElementMatches(("x",), All((equal("sku", 5), equal("in.box", True)))),
        ),
        ({"$elemMatch": {"$or": [{"a": 1}]}}, ElementMatches(("x",), Any((equal("a", 1),)))),
    ],
    ids=str,
)
def test_what_is_not_declared_may_be_of_any_type(operators: JSON, filter_: Filter) -> None:
    assert reads({"x": operators}) == filter_


def test_nothing_is_declared_of_what_is_in_an_array() -> None:
    inside: JSON = {"$elemMatch": {"age": "old", "id": 5, "createdAt": "then"}}
    assert isinstance(reads({"tags": inside}), ElementMatches)
    assert '"tags.age"' in refusal({"tags": {"$elemMatch": {"age": {}}}})
    assert wants(("tags.$elemMatch.sku", "5")) == ElementMatches(("tags",), equal("sku", 5))


@pytest.mark.parametrize(
    ("asked", "declared", "given"),
    [
        ({"title": 5}, "a string", "5"),
        ({"title": {"$in": ["a", True]}}, "a string", "true"),
        ({"age": "3x"}, "a number", '"3x"'),
        ({"age": {"$gt": ""}}, "a number", '""'),
        ({"age": True}, "a number", "true"),
        ({"done": 1}, "true or false", "1"),
        ({"done": {"$ne": "true"}}, "true or false", '"true"'),
        ({"due-on": "tomorrow"}, "a date", '"tomorrow"'),
        ({"due-on": {"$lt": "2025-01-01T00:00:00"}}, "a date", "its zone"),
        ({"due-on": {"$lt": "2025-01-01T00:00:00 01:00"}}, "a date", "%2B"),
        ({"createdAt": {"$gte": True}}, "a date", "true"),
        ({"id": {"$in": [5]}}, "a string", "5"),
        ({"address": "Graz"}, "an object", '"Graz"'),
        ({"age": {"$regex": "1"}}, "a number", "$regex tests"),
        ({"age": {"$size": 1}}, "a number", "$size tests an array"),
        ({"title": {"$all": ["a"]}}, "a string", "$all tests an array"),
        ({"address": {"$elemMatch": {"a": 1}}}, "an object", "$elemMatch tests an array"),
        ({"due-on": {"lt": "2025-01-01"}}, "a date", "due-on.$lt"),
        ({"age.gte": 18}, "a number", "age.$gte"),
        ({"$or": [{"x": 1}, {"$nor": [{"age": "old"}]}]}, "a number", '"old"'),
    ],
    ids=str,
)
def test_what_a_property_can_never_be_is_refused_and_both_are_named(
    asked: Document, declared: str, given: str
) -> None:
    sentence = refusal(asked)
    assert declared in sentence
    assert given in sentence


def test_null_is_of_every_type() -> None:
    for name in DEFINITION.properties:
        assert reads({name: None}) == equal(name, None)


def test_conditions_are_joined() -> None:
    both: list[JSON] = [{"age": {"$gte": 18}}, {}]
    assert reads({"$and": both}) == All((ADULT, All()))
    assert reads({"$or": both}) == Any((ADULT, All()))
    assert reads({"$nor": both}) == Not(Any((ADULT, All())))
    assert reads({"$or": both, "done": True}) == All((Any((ADULT, All())), equal("done", True)))
    assert reads({"$and": [{"$or": both}]}) == Any((ADULT, All()))


def test_an_object_and_dots_lead_to_the_same_place() -> None:
    assert reads({"address": {"city": {"name": "x"}}}) == equal("address.city.name", "x")
    assert reads({"address.city": {"name": "x"}}) == equal("address.city.name", "x")
    assert reads({"address": {"city": "x", "zip": "1"}}) == All(
        (equal("address.city", "x"), equal("address.zip", "1"))
    )


@pytest.mark.parametrize("name", ["due-on", "createdAt", "updatedAt"])
def test_a_date_is_compared_as_it_is_stored(name: str) -> None:
    stored = "2026-11-25T08:12:33.100Z"
    for written in ("2026-11-25T09:12:33.1+01:00", 1795594353100):
        assert reads({name: written}) == equal(name, stored)
        assert reads({name: {"$lt": written}}) == Compare((name,), Order.BELOW, stored)
        assert reads({name: {"$in": [written, None]}}) == equal(name, stored, None)
    assert reads({name: "2026-11-25"}) == equal(name, "2026-11-25T00:00:00.000Z")
    assert reads({name: {"$regex": "2026-11-25"}}) == Matches((name,), "2026-11-25")


def test_only_dates_are_normalised() -> None:
    for name in ("title", "x", "id", "address.due-on"):
        assert reads({name: "2026-11-25"}) == equal(name, "2026-11-25")


def test_a_number_is_kept_exactly() -> None:
    for value, kept in ((2**63 - 1, 2**63 - 1), (2**63, 2.0**63), (1.0, 1), (-0.0, 0), (0.1, 0.1)):
        (found,) = reads({"x": value}).values  # type: ignore[union-attr] # equality
        assert (found, type(found)) == (kept, type(kept))
    (found,) = wants(("x", "18446744073709551615")).values  # type: ignore[union-attr] # equality
    assert (found, type(found)) == (2.0**64, float)


@pytest.mark.parametrize(
    ("value", "part", "remedy"),
    [
        ({"age": {"$gtt": 1}}, '"$gtt"', "did you mean $gt?"),
        ({"age": {"$regexp": "a"}}, '"$regexp"', "did you mean $regex?"),
        ({"age": {"$where": "1"}}, '"$where"', "known are $eq,"),
        ({"$ro": []}, '"$ro"', "did you mean $or?"),
        ({"$gt": 1}, "$gt", '{"age": {"$gt": …}}'),
        ({"$not": {"age": 1}}, "$not", "$nor"),
        ({"$or": [{"$limit": 1}]}, "$limit", "at the top"),
        ({"age": {"$sort": 1}}, "$sort", "at the top"),
        ({"age": {"$or": [{"$gt": 1}]}}, "$or", "at the top"),
        ({"age": {"$gt": 1, "b": 2}}, '"age"', "$and"),
        ({"x": {"$size": -1}}, "$size", "from 0 on"),
        ({"x": {"$size": "2"}}, "$size", "whole number"),
        ({"x": {"$all": "a"}}, "$all", "list of values"),
        ({"x": {"$all": []}}, "$all", "list of values"),
        ({"x": {"$all": [{"$elemMatch": {}}]}}, '"x"', "compared with a text"),
        ({"x": {"$elemMatch": []}}, "$elemMatch", "needs conditions"),
        ({"x": {"$elemMatch": {}}}, "$elemMatch", "needs conditions"),
        ({"x": {"$elemMatch": {"$gt": 1, "a": 2}}}, "$gt", "tests a property"),
        ({"$elemMatch": {"a": 1}}, "$elemMatch", "tests a property"),
        ({"$or": {"a": 1}}, "$or", "list"),
        ({"$and": []}, "$and", "list"),
        ({"$nor": [1]}, "$nor", "objects"),
        ({"age": {}}, '"age"', "compare what is inside"),
        ({"age": [1]}, '"age"', "$in"),
        ({"age": {"$eq": {"a": 1}}}, '"age"', "compare what is inside"),
        ({"age": {"$ne": []}}, '"age"', "$in"),
        ({"age": {"$in": [[1]]}}, '"age"', "compared with a text"),
        ({"age": {"$nin": [{}]}}, '"age"', "compared with a text"),
        ({"age": {"$in": 1}}, "$in", "list"),
        ({"age": {"$gt": None}}, "$gt", "number or a text"),
        ({"x": {"$lte": True}}, "$lte", "number or a text"),
        ({"age": {"$lt": [1]}}, '"age"', "compared with a text"),
        ({"age": {"$exists": 1}}, "$exists", "true or false"),
        ({"age": {"$regex": 1}}, "$regex", "text"),
        ({"x": {"$regex": r"\b"}}, "pattern", "backslash"),
        ({"x": {"$regex": "(a", "$options": "i"}}, "pattern", "missing"),
        ({"age": {"$regex": "a", "$options": "x"}}, "$options", '"i"'),
        ({"age": {"$options": "i"}}, "$options", "add the pattern"),
        ({"age": {"$not": 1}}, "$not", "$ne"),
        ({"age": {"$not": {"b": 1}}}, "$not", "$ne"),
        ({"age": {"$not": {}}}, "$not", "$ne"),
        ({"age": float("inf")}, '"age"', "finite"),
        ({"age": 10**400}, '"age"', "finite"),
        ({"x": "a\0"}, '"x"', "U+0000"),
        ({"x": "\ud800"}, '"x"', "whole characters"),
        ({"x": {"$regex": "\0"}}, '"x"', "U+0000"),
        ({"x": {"$in": ["\0"]}}, '"x"', "U+0000"),
        ({"": 1}, '""', "address.city"),
        ({"a..b": 1}, '"a..b"', "address.city"),
        ({"a.$gt": 1}, '"a.$gt"', '{"$gt": 1}'),
        ({'a"b': 1}, "a", "rename"),
        ({"a\\b": 1}, "a", "rename"),
        ({"a\n": 1}, "a", "rename"),
        ({"a\0": 1}, "a", "rename"),
        ({"a\x7f": 1}, "a", "rename"),
        ({"\udc00": 1}, "name", "whole characters"),
        ({"a" * 65: 1}, "aaa", "64"),
        ({"$sort": "age"}, "$sort", '{"createdAt": -1}'),
        ({"$sort": {"age": 2}}, '"age"', "-1"),
        ({"$sort": {"age": True}}, '"age"', "-1"),
        ({"$sort": {"age": "1"}}, '"age"', "-1"),
        ({"$sort": {"$x": 1}}, '"$x"', "no path"),
        ({"$limit": -1}, "$limit", "from 0 on"),
        ({"$limit": True}, "$limit", "whole number"),
        ({"$limit": 1.5}, "$limit", "whole number"),
        ({"$skip": "1"}, "$skip", "whole number"),
        ({"$skip": None}, "$skip", "whole number"),
        ({"$fields": {"a": 1, "b": 0}}, "$fields", "not both"),
        ({"$fields": {"a": 2}}, '"a"', "1 (show)"),
        ({"$fields": {"a": "1"}}, '"a"', "1 (show)"),
        ({"$fields": {"id": 0}}, "$fields", "always shown"),
        ({"$fields": {"a.b": 1}}, "$fields", '"a"'),
        ({"$fields": {}}, "$fields", '["a"]'),
        ({"$fields": []}, "$fields", '["a"]'),
        ({"$fields": "a"}, "$fields", '["a"]'),
        ({"$fields": [1]}, "$fields", "names"),
    ],
    ids=str,
)
def test_a_mistake_is_answered_with_its_part_and_the_remedy(
    value: Document, part: str, remedy: str
) -> None:
    sentence = refusal(value)
    assert part in sentence
    assert remedy in sentence
    assert sentence.endswith((".", "?"))


def nested(levels: int) -> Document:
    """Return a query of so many objects inside each other."""
    value: Document = {"x": 1}
    for _ in range(levels - 1):
        value = {"$and": [value]}
    return value


def negated(levels: int) -> Document:
    value: Document = {"$eq": 1}
    for _ in range(levels - 2):
        value = {"$not": value}
    return {"x": value}


@pytest.mark.parametrize(
    ("allowed", "beyond", "bound"),
    [
        (nested(16), nested(17), "16"),
        (negated(16), negated(17), "16"),
        ({"$or": [{"x": 1}] * 200}, {"$or": [{"x": 1}] * 201}, "200"),
        ({"$or": [{}] * 200}, {"$or": [{}] * 201}, "200"),
        ({"x": {"$in": [1] * 1000}}, {"x": {"$in": [1] * 1001}}, "1000"),
        ({"x": {"$nin": [1] * 1000}}, {"x": {"$nin": [1] * 1001}}, "1000"),
        ({"x": {"$regex": "a" * 500}}, {"x": {"$regex": "a" * 501}}, "500"),
        ({"$skip": 10**9}, {"$skip": 10**9 + 1}, "1000000000"),
        ({"$sort": dict.fromkeys("abcdefgh", 1)}, {"$sort": dict.fromkeys("abcdefghi", 1)}, "8"),
        ({"a" * 64: 1}, {"a" * 65: 1}, "64"),
        ({"a.b.c.d.e.f.g.h": 1}, {"a.b.c.d.e.f.g.h.i": 1}, "8"),
        ({"a.b.c.d": {"e.f.g.h": 1}}, {"a.b.c.d": {"e.f.g.h.i": 1}}, "8"),
        ({"$sort": {"a.b.c.d": {"e.f.g.h": 1}}}, {"$sort": {"a.b.c.d": {"e.f.g.h.i": 1}}}, "8"),
        (
            {"$fields": [f"f{i}" for i in range(200)]},
            {"$fields": [f"f{i}" for i in range(201)]},
            "200",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_query_is_bounded(allowed: Document, beyond: Document, bound: str) -> None:
    assert read_query(allowed, DEFINITION) != Query()
    assert bound in refusal(beyond)


def test_parameters_are_bounded() -> None:
    assert parsed(*[(f"x{i}", "1") for i in range(200)]) != Query()
    assert "500" in url_refusal(*[("x", "1")] * 501)
    assert "16" in url_refusal((".".join("x" * 17), "1"))
    assert "16" in url_refusal(("x.$not", '{"$not":' * 900 + "1" + "}" * 900))
    assert "16" in url_refusal(*[("x.$not", '{"$not":' * 900 + "1" + "}" * 900)] * 2)
    assert url_refusal(("x", "[" * 5000))


def test_a_limit_that_no_page_can_have_is_none() -> None:
    assert read_query({"$limit": 0}, DEFINITION).limit == 0
    assert read_query({"$limit": 2**63}, DEFINITION).limit == 10**9
    assert read_query({"$limit": None}, DEFINITION).limit is None


def test_fields_are_shown_or_left_out() -> None:
    def fields(value: JSON) -> tuple[set[str], bool]:
        query = read_query({"$fields": value}, DEFINITION)
        return set(query.fields), query.without

    assert fields({"a": 1, "b": True}) == ({"a", "b"}, False)
    assert fields(["a", "b"]) == ({"a", "b"}, False)
    assert fields({"a": 1, "id": 1}) == ({"a", "id"}, False)
    assert fields({"id": 1}) == ({"id"}, False)
    assert fields({"a": 0, "b": False}) == ({"a", "b"}, True)
    assert fields({"a": 0, "id": 1}) == ({"a"}, True)


operators = st.sampled_from(
    ["$eq", "$in", "$not", "$and", "$or", "$regex", "$sort", "$fields", "$limit", "$exists", "$gt"]
)
json_values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | operators, inner),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text() | operators, json_values))
def test_no_object_does_more_than_be_refused(value: Document) -> None:
    with suppress(QueryError):
        assert isinstance(read_query(value, DEFINITION), Query)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.text(max_size=3) | operators, max_size=4).map(".".join),
            st.text() | json_values.map(json.dumps),
        )
    )
)
def test_no_parameters_do_more_than_be_refused(params: list[tuple[str, str]]) -> None:
    with suppress(QueryError):
        assert isinstance(parse_query(params, DEFINITION), Query)
