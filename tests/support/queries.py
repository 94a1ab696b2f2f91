"""Made-up documents and queries of one collection, for properties that every store must have.

Both draw from the same few names and values, so that queries find something; what is hard for a
database (keys that need quoting, texts beyond the BMP, numbers at the edge of 64 bits) is among
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar, cast

from attrs import frozen
from hypothesis import strategies as st

from deployd.config import Definition, Property, PropertyType
from deployd.documents.errors import QueryError
from deployd.documents.store.conditions import read_filter

T = TypeVar("T")

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Document: TypeAlias = dict[str, JSON]

DEFINITION: Final = Definition(
    "things",
    properties={
        "title": Property(PropertyType.STRING, index=True),
        "age": Property(PropertyType.NUMBER, index=True),
        "done": Property(PropertyType.BOOLEAN, index=True),
        "due-on": Property(PropertyType.DATE, index=True),
        "tags": Property(PropertyType.ARRAY),
        "address": Property(PropertyType.OBJECT),
    },
)
UNDECLARED: Final = ("x", "y", "0", "a b", "it's", "a]b[0]", "ключ", "🦊", "%s", ":n", "a-'$'#")
DATES: Final = ("2026-11-25T08:12:33.123Z", "2026-11-25T00:00:00.000Z", "0001-01-01T00:00:00.000Z")

texts = st.sampled_from(
    [
        *("", "a", "A", "b", "ab", "1", "true", "null", "é", "É", "ß", "\uffff", "🦊", "a\nb"),
        *('"', "\\", "%", "'", "{}", "[1]", "ſ", "\x7f", *DATES),
    ]
) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
numbers = (
    st.sampled_from([0, 1, -1, 1.0, 0.5, -0.0, 0.1, 1e22, 1e23, 5e-324, 2**53, 2**53 + 1, 2.0**53])
    | st.sampled_from([2**63 - 1, -(2**63), 2.0**63, 2.0**63 - 1024, 2**63 - 1024, 2**64 - 1])
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
scalars = st.none() | st.booleans() | numbers | texts
names = st.sampled_from(UNDECLARED)
values: st.SearchStrategy[JSON] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)

_dates = st.sampled_from(DATES)
_objects = st.dictionaries(names, values, max_size=3)
_declared = st.fixed_dictionaries(
    {},
    optional={
        "title": st.none() | texts,
        "age": st.none() | numbers,
        "done": st.none() | st.booleans(),
        "due-on": st.none() | _dates,
        "tags": st.none() | st.lists(values, max_size=3),
        "address": st.none() | _objects,
    },
)


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    """Some documents in the order of their creation, each with an id of its own."""
    ids = draw(
        st.lists(texts.filter(bool), min_size=draw(st.integers(0, 5)), max_size=6, unique=True)
    )
    return [
        {
            **draw(_objects),
            **draw(_declared),
            "id": id_,
            "createdAt": draw(_dates),
            "updatedAt": draw(_dates),
        }
        for id_ in ids
    ]


tops = st.sampled_from((*DEFINITION.properties, "id", "createdAt", "updatedAt"))
paths = st.tuples(tops | names) | st.tuples(tops | names, names) | st.tuples(names, names, names)

_dates_written = st.sampled_from(
    [*DATES, "2026-11-25", "2026-11-25T09:12:33.1239+01:00", 1764058353123, "2026", "no date"]
)
_patterns = st.sampled_from(
    [
        *("", "a", "^a", "b$", "^$", ".", "a.b", "[a-c]+", "[^a]", r"\d", r"\W", "a|é", "(ab)?$"),
        *(r"\.", "É", "^.{2}$", r"[\w-]", "🦊", "[^\n]b", "ſ|K", "[à-ý]"),
    ]
)


_Leaf: TypeAlias = tuple[tuple[str, ...], JSON]


@frozen
class _Here:
    """Stands for what a document holds where the condition looks, moved by a little perhaps."""

    by: float = 0


@frozen
class _Condition:
    """A condition on one path, not yet in the words of the query language.

    `leaf` is the number of what a document holds; where it is None, `path` is looked at.
    """

    leaf: int | None
    path: tuple[str, ...]
    test: object
    dotted: bool


def _whole(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Return a strategy that is drawn from as often as the one beside it, not as its parts."""
    return st.builds(lambda drawn: drawn, strategy)


_here = st.builds(_Here, st.sampled_from([0, 0, 0, 1, -0.5]))
_operands = _here | _whole(scalars | _dates_written)
_in_order = _here | _whole(numbers | texts | _dates_written)
_several = st.lists(_operands, max_size=4)
_elements: st.SearchStrategy[JSON] = st.deferred(  # its repr would be too long to print
    lambda: st.one_of(
        st.fixed_dictionaries(
            {"$elemMatch": st.dictionaries(names, _operands, min_size=1, max_size=2)}
        ),
        st.fixed_dictionaries({"$elemMatch": st.fixed_dictionaries({"$gt": _in_order})}),
        st.fixed_dictionaries({"$size": st.integers(0, 3)}, optional={"$all": st.just([None])}),
        st.fixed_dictionaries({"$all": st.lists(_operands, min_size=1, max_size=3)}),
    )
)
_operators = st.one_of(
    _elements,
    st.fixed_dictionaries({}, optional={"$eq": _operands, "$gte": _in_order, "$lt": _in_order}),
    st.fixed_dictionaries({}, optional={"$ne": _operands, "$gt": _in_order, "$lte": _in_order}),
    st.fixed_dictionaries({}, optional={"$in": _several, "$nin": _several}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$regex": _patterns}, optional={"$options": st.just("i")}),
).filter(bool)  # nothing equals an object, not even an empty one
_conditions = st.builds(
    _Condition,
    leaf=st.none() | st.integers(0, 30) | st.integers(0, 30),
    path=paths,
    test=_whole(_operands)
    | _whole(_operators)
    | _whole(_operators).map(lambda inner: {"$not": inner})
    | _whole(_operators).map(lambda inner: {"$not": {"$not": inner}, **inner}),
    dotted=st.booleans(),
)
_filters: st.SearchStrategy[object] = st.recursive(
    _conditions,
    lambda inner: st.dictionaries(
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner | st.builds(dict), min_size=1, max_size=3),
        min_size=1,
    ),
    max_leaves=5,
)
_sorts = st.lists(st.tuples(st.integers(0, 30) | paths, st.sampled_from([1, -1])), max_size=3)
_options: st.SearchStrategy[dict[str, JSON]] = st.fixed_dictionaries(
    {}, optional={"$limit": st.integers(0, 7), "$skip": st.integers(0, 3)}
)


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[Document], list[Document]]:
    """Draw documents, and queries for them as the JSON objects that clients write."""
    those = draw(documents())
    leaves = [leaf for document in those for leaf in _leaves(document)] or [(("x",), None)]
    asked = draw(st.lists(st.tuples(_filters, _sorts, _options), min_size=1, max_size=4))
    return those, [
        {**_said(wanted, leaves), "$sort": _sorted_by(sort, leaves), **options}
        for wanted, sort, options in asked
    ]


def _sorted_by(
    sort: Sequence[tuple[int | tuple[str, ...], int]], leaves: list[_Leaf]
) -> dict[str, JSON]:
    return {
        ".".join(leaves[where % len(leaves)][0] if isinstance(where, int) else where): direction
        for where, direction in sort
    }


def _leaves(value: JSON, path: tuple[str, ...] = ()) -> Iterator[_Leaf]:
    """Yield what a document holds, each with its path; of arrays also their elements."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        yield from ((path, inner) for inner in value if not isinstance(inner, dict | list))
    else:
        yield path, value


def _said(asked: object, leaves: list[_Leaf]) -> dict[str, JSON]:
    """Return a filter in the words of the query language."""
    if isinstance(asked, dict):
        return {
            operator: [_said(inner, leaves) for inner in several]
            for operator, several in asked.items()
        }
    assert isinstance(asked, _Condition)
    path, there = asked.path, None
    if asked.leaf is not None:
        path, there = leaves[asked.leaf % len(leaves)]
    test = _with(asked.test, there)
    for top in (path[0], "x"):  # what a declared property can never be is refused
        said = _at((top, *path[1:]), test, dotted=asked.dotted)
        with suppress(QueryError):
            read_filter(said, DEFINITION)
            return said
    return {}


def _at(path: tuple[str, ...], test: JSON, *, dotted: bool) -> dict[str, JSON]:
    if dotted:
        return {".".join(path): test}
    for name in reversed(path[1:]):
        test = {name: test}
    return {path[0]: test}


def _with(test: Any, there: JSON, *, in_order: bool = False) -> JSON:
    """Return a test with what a document holds in the place of `_Here`."""
    if isinstance(test, dict):
        ordering = ("$gt", "$gte", "$lt", "$lte")
        return {key: _with(inner, there, in_order=key in ordering) for key, inner in test.items()}
    if isinstance(test, list):
        return [_with(inner, there) for inner in test]
    if not isinstance(test, _Here):
        return cast("JSON", test)
    if isinstance(there, int | float) and not isinstance(there, bool):
        return there + test.by
    return 0 if in_order and not isinstance(there, str) else there
