"""What filters, orders and fields mean; `test_sql` holds the databases to the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    Scalar,
    Size,
    SortKey,
    matches,
    ordered,
    project,
    read_query,
)
from support.queries import DEFINITION, JSON, Document, searches

NOTHING: object = ...  # named alike in each process, as tests are that run beside each other


def holds(filter_: Filter, value: object = NOTHING) -> bool:
    """Say whether a filter on `x` wants a document that holds this value there."""
    document: dict[str, object] = {} if value is NOTHING else {"x": value}
    return matches(filter_, document)  # type: ignore[arg-type] # the values are JSON


def equal(*values: Scalar) -> Equal:
    return Equal(("x",), values)


@pytest.mark.parametrize(
    ("wanted", "there", "no"),
    [
        ("a", ["a", ["a"], [1, "a"]], ["A", "", "ab", 1, None, NOTHING, {"a": "a"}, [], [["a"]]]),
        (1, [1, 1.0, [1.0]], ["1", True, [True], 2, None, {"x": 1}]),
        (1.5, [1.5], [1, 2, "1.5"]),
        (0, [0, 0.0, -0.0], [False, None, "", NOTHING]),
        (2**53 + 1, [2**53 + 1], [2.0**53, 2**53]),
        (2.0**63, [2.0**63, 2**63, 2**63 + 1], [2**63 - 1]),
        (True, [True, [True]], [1, "true", False, None]),
        (False, [False, [None, False]], [0, "", None, NOTHING, []]),
        (None, [None, NOTHING, [None]], [0, "", False, [], {}, "null"]),
    ],
    ids=repr,
)
def test_equality_is_of_type_and_value(
    wanted: Scalar, there: list[object], no: list[object]
) -> None:
    assert [value for value in there if not holds(equal(wanted), value)] == []
    assert [value for value in no if holds(equal(wanted), value)] == []


def test_one_of_several_values_is_enough_and_of_none_too_little() -> None:
    assert holds(equal("a", 1), 1)
    assert holds(equal("a", None))
    assert not holds(equal("a", 1), "1")
    assert not holds(equal(), None)
    assert not holds(equal())


def compare(order: Order, operand: str | float) -> Compare:
    return Compare(("x",), order, operand)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.BELOW, [True, False, False]),
        (Order.AT_MOST, [True, True, False]),
        (Order.ABOVE, [False, False, True]),
        (Order.AT_LEAST, [False, True, True]),
    ],
)
def test_an_order_compares_numbers_and_texts(order: Order, expected: list[bool]) -> None:
    assert [holds(compare(order, 2), value) for value in (1.5, 2.0, 3)] == expected
    assert [holds(compare(order, "b"), value) for value in ("a", "b", "ba")] == expected
    assert [holds(compare(order, "\uffff"), value) for value in ("é", "\uffff", "🦊")] == expected
    assert [holds(compare(order, 2), [True, value]) for value in (1.5, 2.0, 3)] == expected


@pytest.mark.parametrize("order", Order)
def test_an_order_never_holds_between_types(order: Order) -> None:
    others: list[object] = [None, NOTHING, True, False, {}, {"x": 1}, [], [[1, "a"]]]
    for value in others:
        assert not holds(compare(order, 1), value)
        assert not holds(compare(order, "a"), value)
    assert not holds(compare(order, 1), "1")
    assert not holds(compare(order, "1"), 1)


def test_something_exists_though_it_be_null() -> None:
    there: list[object] = [None, False, [], {}, 0]
    assert [value for value in there if not holds(Exists(("x",)), value)] == []
    assert not holds(Exists(("x",)))
    assert holds(Exists(("x", "y")), {"y": None})
    assert not holds(Exists(("x", "y")), {"z": 1})


def test_a_path_leads_through_objects() -> None:
    path = ("x", "y")
    assert holds(Equal(path, (1,)), {"y": 1})
    assert holds(Equal(path, (1,)), {"y": [1]})
    others: list[object] = ["y", 1, None, {"y": {"y": 1}}, {"y": [[1]]}]
    for value in others:
        assert not holds(Equal(path, (1,)), value)
    assert not holds(Exists(("x", "0")), [1])


def test_a_path_leads_through_the_objects_of_one_array() -> None:
    path = ("x", "y")
    for there in ([{"y": 1}], [{}, {"y": 1}], [1, [{"y": 2}], {"y": [2, 1]}]):
        assert holds(Equal(path, (1,)), there)
        assert holds(Exists(path), there)
    for other in ([{"y": 2}], [[{"y": 1}]], [{"y": [[1]]}], [1], []):
        assert not holds(Equal(path, (1,)), other)
    assert holds(Equal(("x", "y", "z"), (1,)), {"y": [{"z": 1}]})
    assert holds(Size(path, 2), [{"y": [1, 2]}])
    assert not holds(Equal(("x", "y", "z"), (1,)), [{"y": [{"z": 1}]}])


def test_nothing_is_at_a_path_where_an_object_or_all_objects_of_an_array_lack_it() -> None:
    path = ("x", "y")
    for there in ([], [1], [[{"y": 1}]], [{"y": 1}, {}], [{"y": 1}, {"y": None}]):
        assert holds(Equal(path, (None,)), there)
    assert not holds(Equal(path, (None,)), [{"y": 1}, 2])


def test_an_array_has_its_size() -> None:
    assert [holds(Size(("x",), n), [1, None]) for n in (1, 2, 3)] == [False, True, False]
    assert holds(Size(("x",), 0), [])
    for other in (NOTHING, None, 0, "", {}, {"a": 1}):
        assert not holds(Size(("x",), 0), other)


def test_one_element_is_all_that_is_asked() -> None:
    both = All((Equal(("a",), (1,)), Compare(("b",), Order.ABOVE, 5)))
    assert holds(ElementMatches(("x",), both), [{"a": 1}, {"a": 1, "b": 6}])
    assert not holds(ElementMatches(("x",), both), [{"a": 1}, {"b": 6}])
    between = All((Compare((), Order.ABOVE, 1), Compare((), Order.BELOW, 3)))
    assert holds(ElementMatches(("x",), between), [0, 2])
    assert not holds(ElementMatches(("x",), between), [0, 4])
    for other in (2, {"a": 1, "b": 6}, None, NOTHING, []):
        assert not holds(ElementMatches(("x",), Not(Exists(("c",)))), other)


def test_a_pattern_is_found_in_texts() -> None:
    assert holds(Matches(("x",), "^a.b"), "a\nbc")
    assert holds(Matches(("x",), "B", ignore_case=True), "abc")
    assert holds(Matches(("x",), "b"), [1, "abc"])
    for value in ("aBc", 1, None, NOTHING, True, {"b": "b"}, ["B"], [["b"]]):
        assert not holds(Matches(("x",), "b"), value)


def test_conditions_are_joined() -> None:
    one, two = equal(1), Exists(("x",))
    assert [holds(All((one, two)), value) for value in (1, 2, NOTHING)] == [True, False, False]
    assert [holds(Any((one, two)), value) for value in (1, 2, NOTHING)] == [True, True, False]
    assert holds(All())
    assert not holds(Any(()))


@pytest.mark.parametrize(
    "inner",
    [equal(1), compare(Order.ABOVE, 1), Matches(("x",), "a"), Equal(("x", "y"), ("a",))],
    ids=repr,
)
def test_what_does_not_hold_for_lack_of_a_value_holds_when_negated(inner: Filter) -> None:
    for value in (NOTHING, None, True, {}, []):
        assert not holds(inner, value)
        assert holds(Not(inner), value)
        assert not holds(Not(Not(inner)), value)


IN_ORDER: list[JSON] = [
    None,
    *(-1e300, -(2**63), -1, -0.5, 0, 0.5, 1, 2**53, 2**53 + 1, 2**63 - 1, 2.0**63, 1e300),
    *("", "A", "B", "a", "aa", "b", "é", "\uffff", "🦊"),
    {},
    [],
    False,
    True,
]


@given(st.permutations(IN_ORDER))
def test_everything_has_its_place_in_the_order(values: list[JSON]) -> None:
    those: list[Document] = [{"x": value} for value in values]
    assert [one["x"] for one in ordered(those, [SortKey(("x",))])] == IN_ORDER
    backwards = ordered(those, [SortKey(("x",), descending=True)])
    assert [one["x"] for one in backwards] == IN_ORDER[::-1]


def test_equals_stay_in_the_order_of_their_creation_in_both_directions() -> None:
    equals: list[list[JSON]] = [[1, 1.0], [0, -0.0], [{"a": 2}, {"a": 1}, {}], [[2], [1], []]]
    for values in equals:
        those: list[Document] = [{"x": value, "n": n} for n, value in enumerate(values)]
        for descending in (False, True):
            assert ordered(those, [SortKey(("x",), descending)]) == those
    assert ordered([{"n": 1}, {"x": None}, {"n": 2}], [SortKey(("x",))])[0] == {"n": 1}


def test_the_first_key_counts_most() -> None:
    those: list[Document] = [{"x": x, "y": {"z": z}} for x in (1, 2) for z in (1, 2)]
    sort = [SortKey(("y", "z"), descending=True), SortKey(("x",))]
    found = [(one["x"], one["y"]) for one in ordered(those, sort)]
    assert found == [(1, {"z": 2}), (2, {"z": 2}), (1, {"z": 1}), (2, {"z": 1})]


def test_without_keys_documents_stay_as_they_are() -> None:
    those: list[Document] = [{"x": 2}, {"x": 1}]
    assert ordered(iter(those), []) == those


def test_fields_choose_what_is_shown() -> None:
    document: Document = {"id": "1", "a": 1, "b": {"a": 2}}
    assert project(document, Query()) == document
    assert project(document, Query(fields=frozenset({"b", "c"}))) == {"id": "1", "b": {"a": 2}}
    assert project(document, Query(fields=frozenset({"id"}))) == {"id": "1"}
    without = Query(fields=frozenset({"b", "c"}), without=True)
    assert project(document, without) == {"id": "1", "a": 1}
    assert project(document, Query()) is not document


@settings(max_examples=30, deadline=None)
@given(searches())
def test_what_is_wanted_and_what_is_not_are_all_there_is(
    search: tuple[list[Document], list[Document]],
) -> None:
    those, asked = search
    for query in asked:
        filter_ = read_query(query, DEFINITION).filter
        for document in those:
            assert matches(Not(filter_), document) is not matches(filter_, document)
