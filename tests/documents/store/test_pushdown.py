"""What of a filter a database may be asked, where somebody sees documents otherwise than stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.documents.store import (
    All,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    SortKey,
    asks_only,
    matches,
    named,
    read_query,
    sorted_by_only,
    split,
)
from deployd.documents.store import Any as AnyOf
from support.queries import DEFINITION, searches

OPEN = frozenset({"a", "b"})
A, B, X = Equal(("a",), (1,)), Exists(("b", "c")), Matches(("x", "a"), "^s")


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        (A, (A,), ()),
        (X, (), (X,)),
        (All((A, X, B)), (A, B), (X,)),
        (All((A, All((X, All((B,)))))), (A, B), (X,)),
        (AnyOf((A, B)), (AnyOf((A, B)),), ()),
        (AnyOf((A, X)), (), (AnyOf((A, X)),)),
        (Not(All((A, X))), (), (Not(All((A, X))),)),
        (All((Not(Not(B)), Not(X))), (Not(Not(B)),), (Not(X),)),
        (All(), (), ()),
    ],
)
def test_only_conditions_at_the_top_that_ask_about_nothing_else_are_apart(
    wanted: Filter, inside: tuple[Filter, ...], outside: tuple[Filter, ...]
) -> None:
    assert split(wanted, OPEN) == (All(inside), All(outside))


def test_a_path_and_an_order_ask_about_the_whole_property() -> None:
    assert named(All((A, Not(AnyOf((B, X)))))) == {"a", "b", "x"}
    assert asks_only(B, OPEN)
    assert not asks_only(X, OPEN)
    assert sorted_by_only((SortKey(("a",)), SortKey(("b", "x"))), OPEN)
    assert not sorted_by_only((SortKey(("a",)), SortKey(("x", "a"))), OPEN)


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(searches(), st.frozensets(st.sampled_from(("title", "age", "x", "id", "address"))))
def test_both_parts_together_are_the_whole(
    search: tuple[list[Any], list[Any]], names: frozenset[str]
) -> None:
    documents, queries = search
    for query in queries:
        wanted = read_query(query, DEFINITION).filter
        inside, outside = split(wanted, names)
        assert asks_only(inside, names)
        for document in documents:
            both = matches(inside, document) and matches(outside, document)
            assert both == matches(wanted, document)
