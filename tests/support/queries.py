"""Made-up documents and queries of one collection, for properties that every store must have.

Both draw from the same few names and values, so that queries find something; what is hard for a
database (keys that need quoting, texts beyond the BMP, numbers at the edge of 64 bits) is among
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from hypothesis import strategies as st

from deployd.config import Definition, Property, PropertyType

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
    ["", "a", "A", "b", "ab", "1", "true", "null", "é", "É", "ß", "\uffff", "🦊", "a\nb", "[1]"]
    + ['"', "\\", "%", "'", "{}", "ſ", "\x7f", *DATES]
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
    ["", "a", "^a", "b$", "^$", ".", "a.b", "[a-c]+", "[^a]", r"\d", r"\W", "a|é", "(ab)?$", r"\."]
    + ["É", "^.{2}$", r"[\w-]", "🦊", "[^\n]b", "ſ|K", "[à-ý]"]
)


def _tests(operands: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    """Return what a query may say of one path."""
    in_order = operands.filter(lambda one: one is not None and not isinstance(one, bool))
    several = st.lists(operands, max_size=4)
    operators = st.one_of(
        st.fixed_dictionaries({}, optional={"$eq": operands, "$gte": in_order, "$lt": in_order}),
        st.fixed_dictionaries({}, optional={"$ne": operands, "$gt": in_order, "$lte": in_order}),
        st.fixed_dictionaries({}, optional={"$in": several, "$nin": several}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
        st.fixed_dictionaries({"$regex": _patterns}, optional={"$options": st.just("i")}),
    ).filter(bool)  # nothing equals an object, not even an empty one
    return operands | st.recursive(
        operators, lambda inner: st.dictionaries(st.just("$not"), inner, min_size=1), max_leaves=2
    )


def _leaves(value: JSON, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JSON]]:
    """Yield what a document holds, each with its path; of arrays also their elements."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        yield from ((path, inner) for inner in value if not isinstance(inner, dict | list))
    else:
        yield path, value


@st.composite
def _condition(draw: st.DrawFn, leaves: list[tuple[tuple[str, ...], JSON]]) -> Document:
    """Draw a condition, two times of three one on something that a document holds."""
    path, there = draw(st.sampled_from(leaves)) if leaves else (("x",), None)
    operands = scalars | _dates_written
    if draw(st.integers(0, 2)):
        operands = (
            st.sampled_from([value for at, value in leaves if at == path] or [there]) | operands
        )
    else:
        path = draw(paths)
    test = draw(_tests(operands))
    if draw(st.booleans()):
        return {".".join(path): test}
    for name in reversed(path[1:]):
        test = {name: test}
    return {path[0]: test}


def filters(those: list[Document]) -> st.SearchStrategy[Document]:
    """Return filters for documents, as the JSON objects that clients write."""
    leaves = [leaf for document in those for leaf in _leaves(document)]
    logic = st.sampled_from(["$and", "$or", "$nor"])
    return st.recursive(
        _condition(leaves),
        lambda inner: st.dictionaries(logic, st.lists(inner | st.just({}), min_size=1, max_size=3)),
        max_leaves=5,
    )


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[Document], Document]:
    """Draw documents, and a query for them as the JSON object that clients write."""
    those = draw(documents())
    known = [path for document in those for path, _ in _leaves(document)]
    keys = (st.sampled_from(known) | paths if known else paths).map(".".join)
    options = {
        "$sort": st.dictionaries(keys, st.sampled_from([1, -1]), max_size=3),
        "$limit": st.integers(0, 7),
        "$skip": st.integers(0, 3),
        "$fields": st.lists(names, min_size=1, max_size=3),
    }
    return those, {**draw(filters(those)), **draw(st.fixed_dictionaries({}, optional=options))}
