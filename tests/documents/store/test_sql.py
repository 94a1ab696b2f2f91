"""What the databases find is what `matching` finds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Connection,
    Engine,
    Index,
    Select,
    StaticPool,
    Table,
    create_engine,
    create_mock_engine,
    event,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex

from deployd.config import BUILT_IN, Property, PropertyType
from deployd.documents.errors import QueryError
from deployd.documents.store import (
    All,
    Compare,
    ElementMatches,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Order,
    Path,
    Query,
    Scalar,
    Size,
    SortKey,
    matches,
    normalise_number,
    ordered,
    read_query,
)
from deployd.documents.store.patterns import portable
from deployd.documents.store.sql import condition, index_expression, ordering, register_functions
from deployd.documents.store.tables import documents_table
from support.queries import DATES, DEFINITION, JSON, UNDECLARED, Document, searches

ENGINES = ["sqlite"]

EXAMPLES = int(os.environ.get("DEPLOYD_EXAMPLES", "0"))
"""Set it to look further than the tests do, with other examples each time."""

TABLE = documents_table(DEFINITION.name)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database with the empty table and its indexes."""
    if request.param == "sqlite":
        engine = create_engine("sqlite://", poolclass=StaticPool)
        event.listen(engine, "connect", lambda connection, _: register_functions(connection))
    else:
        engine = create_engine(
            request.getfixturevalue("postgres_url"), json_serializer=lambda v: as_text(v)
        )
    with engine.begin() as connection:
        TABLE.drop(connection, checkfirst=True)
        TABLE.create(connection)
        for name, about in DEFINITION.properties.items():
            if about.index:
                connection.execute(CreateIndex(index(name, about, engine.dialect.name)))
    yield engine
    engine.dispose()


def index(name: str, about: Property, dialect: str) -> Index:
    table = documents_table(DEFINITION.name)
    return Index(f"by_{name}", index_expression(name, about, table, dialect), _table=table)


def as_text(value: object) -> str:
    return orjson.dumps(value).decode()


def written(value: JSON) -> JSON:
    """Normalise the numbers of a document, as whoever writes to PostgreSQL has to."""
    if isinstance(value, dict):
        return {name: written(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [written(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return normalise_number(value)
    return value


def stored(document: Document, number: int) -> Document:
    """Return a document with what every one has."""
    dates = {"createdAt": DATES[-1], "updatedAt": DATES[number % len(DATES)]}
    return {"id": str(number), **document, **dates}


def insert(connection: Connection, those: Sequence[Document], table: Table = TABLE) -> None:
    sqlite = connection.dialect.name == "sqlite"
    for document in those:
        connection.execute(
            table.insert().values(
                id=document["id"],
                created_at=document["createdAt"],
                updated_at=document["updatedAt"],
                document=as_text(document) if sqlite else written(document),
            )
        )


def statement(query: Query, dialect: str) -> Select[str]:
    return (
        select(TABLE.c.id)
        .where(condition(query.filter, TABLE, DEFINITION, dialect))
        .order_by(*ordering(query.sort, TABLE, dialect))
        .limit(query.limit)
        .offset(query.skip)
    )


def found(engine: Engine, those: Sequence[Document], queries: Sequence[Query]) -> list[list[str]]:
    """Return the ids that each query finds among documents; the table is empty afterwards."""
    with engine.connect() as connection:
        insert(connection, those)
        return [
            list(connection.scalars(statement(query, engine.dialect.name))) for query in queries
        ]


def wanted(those: Sequence[Document], query: Query) -> list[JSON]:
    """Return the ids that the model finds."""
    matching = ordered((one for one in those if matches(query.filter, one)), query.sort)
    return [one["id"] for one in matching][query.skip :][: query.limit]


@settings(
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(search=searches())
def test_no_query_finds_anything_else_in_a_database_than_in_memory(
    engine: Engine, search: tuple[list[Document], list[Document]]
) -> None:
    those, asked = search
    queries = [read_query(query, DEFINITION) for query in asked]
    assert found(engine, those, queries) == [wanted(those, query) for query in queries]


SCALARS: list[Scalar] = [
    *(None, True, False, 0, -0.0, 1, -1, 1.5, 0.1, 1e22, 5e-324, 2**53, 2**53 + 1, 2.0**53),
    *(2**63 - 1, -(2**63), 2.0**63, 2.0**63 - 1024, 2**63 - 1024, 2**64 - 1),
    *("", "a", "A", "b", "1", "true", "null", "é", "\uffff", "🦊", "[1]", '{"y":1}'),
]
OBJECTS: list[JSON] = [
    {},
    {"y": 1},
    {"y": "a"},
    {"y": None},
    {"y": [1, "a"]},
    {"y": {"y": 1}},
    {"z": 1},
]
ARRAYS: list[JSON] = [
    [],
    [None],
    [1],
    [1.5],
    ["a"],
    [True],
    [False],
    [[1]],
    [{"y": 1}],
    [{}],
    [2, "b", None],
    [{"y": 1, "z": 1}, {"y": [1, "a"]}],
    [{"y": {"y": 1}}, {"y": [{"y": 1}]}, 1],
    ["{", "[1]", '{"y":1}', 0.1, "null"],
]
DECLARED: dict[str, list[JSON]] = {
    "title": [one for one in SCALARS if isinstance(one, str)],
    "age": [one for one in SCALARS if isinstance(one, int | float) and not isinstance(one, bool)],
    "done": [True, False],
    "due-on": list(DATES),
    "id": ["b", "B", "é", "\uffff", "🦊", "1", "a"],
    "updatedAt": [],
}


OF_ELEMENTS: list[Filter] = [
    All(),
    *(Equal((), (operand,)) for operand in (None, 1, "a", True)),
    Compare((), Order.ABOVE, 1),
    Matches((), "^a$"),
    Not(Exists(("y",))),
    Exists(("y",)),
    Equal(("y",), (None,)),
    Equal(("y", "y"), (1, None)),
    All((Equal(("y",), (1,)), Not(Equal(("z",), (1,))))),
    Size((), 1),
    Size(("y",), 2),
    ElementMatches((), Equal((), (1,))),
    ElementMatches(("y",), Equal((), ("a",))),
]


def everything(path: Path) -> Iterator[Filter]:
    """Yield every test of a path with every operand, and its opposite."""
    tests: list[Filter] = [Exists(path), Equal(path, ()), Equal(path, tuple(SCALARS))]
    tests += [
        Matches(path, pattern, flag) for pattern in ("", "A|1", "^.$") for flag in (True, False)
    ]
    for operand in (*SCALARS, *DATES):
        tests.append(Equal(path, (operand,)))
        if operand is not None and not isinstance(operand, bool):
            tests += [Compare(path, order, operand) for order in Order]
    tests += [Size(path, length) for length in range(3)]
    tests += [ElementMatches(path, inner) for inner in OF_ELEMENTS]
    for test in tests:
        yield from (test, Not(test))


@pytest.mark.parametrize("path", [("x",), ("x", "y"), *((name,) for name in DECLARED)], ids=str)
def test_every_test_of_every_value_means_the_same(engine: Engine, path: Path) -> None:
    values = DECLARED.get(path[0], [*SCALARS, *OBJECTS, *ARRAYS])
    documents: list[Document] = [{}, *({path[0]: value} for value in (None, *values))]
    if path[0] in BUILT_IN:  # every document has one
        documents = [{path[0]: value} for value in values or DATES]
    those = [stored(one, number) for number, one in enumerate(documents)]
    sorts = [(SortKey(path),), (SortKey(path, descending=True),)]
    queries = [Query(sort=sort) for sort in sorts] + [Query(one) for one in everything(path)]
    results = zip(queries, found(engine, those, queries), strict=True)
    assert [query for query, ids in results if ids != wanted(those, query)] == []


@pytest.mark.parametrize("name", [*UNDECLARED, "a$", "[0]", "a'", "*", "#-1", "__proto__", "%(x)s"])
def test_a_name_means_itself(engine: Engine, name: str) -> None:
    values: list[JSON] = [1, {name: 1}, {"0": 1}, [1], [{name: 1}]]
    those = [stored({name: value}, number) for number, value in enumerate(values)]
    queries = [
        Query(Equal((name,), (1,))),
        Query(Equal((name, name), (1,))),
        Query(Equal((name, "0"), (1,))),
        Query(sort=(SortKey((name, name), descending=True),)),
    ]
    expected = [["0", "3"], ["1", "4"], ["2"], ["1", "0", "2", "3", "4"]]
    if name == "0":
        expected[1:] = [["1", "2", "4"], ["1", "2", "4"], ["1", "2", "0", "3", "4"]]
    assert found(engine, those, queries) == expected
    assert [wanted(those, query) for query in queries] == expected


PIECES = (
    *("a", "B", "k", "S", "ſ", "é", "É", "🦊", "0", "_", "-", " ", "\n", ".", "^", "$", "|", "|"),
    *("(", "(?:", ")", "?", "*", "+?", "{2}", "{0,1}", "[a-c]", "[^a]", "[sS]", "[kK]", "[-.]"),
    *(r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\.", r"\\", r"[\d_]", r"[^\]]", "[à-ý]", "{0}"),
)
"""Of these patterns are made, most of them good ones."""


@settings(max_examples=EXAMPLES or 60, derandomize=not EXAMPLES, database=None, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=7),
    texts=st.lists(st.text(st.sampled_from("aAbkKsSſKéÉ🦊0_-. \n\\]$"), max_size=6), max_size=6),
    ignore_case=st.booleans(),
)
def test_a_pattern_is_found_in_the_same_texts(
    engine: Engine, pieces: list[str], texts: list[str], *, ignore_case: bool
) -> None:
    pattern = "".join(pieces)
    try:
        portable(pattern, ignore_case)
    except QueryError:
        return
    those = [stored({"x": text}, number) for number, text in enumerate([*texts, pattern])]
    query = Query(Matches(("x",), pattern, ignore_case))
    assert found(engine, those, [query]) == [wanted(those, query)]


def plan(connection: Connection, asked: Document) -> str:
    """Return how SQLite would find something, in its own words."""
    compiled = statement(read_query(asked, DEFINITION), "sqlite").compile(
        connection, compile_kwargs={"render_postcompile": True}
    )
    rows = connection.exec_driver_sql(
        f"EXPLAIN QUERY PLAN {compiled}",
        tuple(compiled.params[name] for name in compiled.positiontup or ()),
    )
    return "\n".join(row.detail for row in rows)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"title": "a"}, "by_title"),
        ({"title": {"$in": ["a", "b"]}}, "by_title"),
        ({"title": {"$gte": "a", "$lt": "b"}}, "by_title"),
        ({"age": 1}, "by_age"),
        ({"age": {"$in": [1, 2.5]}}, "by_age"),
        ({"age": {"$gt": 1, "$lte": 2}}, "by_age"),
        ({"done": True}, "by_done"),
        ({"done": False}, "by_done"),
        ({"due-on": "2026-11-25"}, "by_due-on"),
        ({"due-on": {"$gt": "2026-11-25", "$lte": "2026-11-26"}}, "by_due-on"),
        ({"title": "a", "x": 1}, "by_title"),
        ({"createdAt": "2026-11-25"}, "created_at"),
        ({"createdAt": {"$gte": "2026-11-25", "$lt": "2026-11-26"}}, "created_at"),
        ({"id": "a"}, "(id=?)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_condition_on_an_indexed_property_uses_its_index(
    engine: Engine, asked: Document, name: str
) -> None:
    with engine.connect() as connection:
        found = plan(connection, asked)
    assert f"SEARCH {TABLE.name} USING" in found
    assert name in found


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_property_without_index_is_looked_for_everywhere(engine: Engine) -> None:
    with engine.connect() as connection:
        assert f"SCAN {TABLE.name}" in plan(connection, {"x": 1})


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (PropertyType.STRING, ["a", "A", "", "1"]),
        (PropertyType.NUMBER, [1, 1.5, 2**53, 2**53 + 1]),
        (PropertyType.BOOLEAN, [True, False]),
        (PropertyType.DATE, list(DATES)),
    ],
)
def test_a_unique_property_may_be_missing_or_null_in_many_documents(
    engine: Engine, type_: PropertyType, values: list[JSON]
) -> None:
    table = documents_table("alone")
    about = Property(type_, unique=True)
    expression = index_expression("it", about, table, engine.dialect.name)
    Index("alone", expression, unique=True, _table=table)
    those: list[Document] = [{"it": value} for value in values] + [{}, {"it": None}] * 2
    with engine.connect() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        insert(connection, [stored(one, n) for n, one in enumerate(those)], table)
        with pytest.raises(IntegrityError):
            insert(connection, [stored({"it": values[0]}, 99)], table)


@pytest.mark.parametrize("type_", [PropertyType.ARRAY, PropertyType.OBJECT])
def test_what_is_no_scalar_has_no_index(type_: PropertyType) -> None:
    with pytest.raises(ValueError, match="no index"):
        index_expression("it", Property(type_), TABLE, "sqlite")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@settings(max_examples=30, deadline=None)
@given(text=st.text(min_size=1))
def test_nothing_that_a_client_sent_is_written_into_a_statement(text: str, dialect: str) -> None:
    marked = f"sent{text}"
    filter_ = All(
        (
            Equal((marked, "x"), (marked,)),
            Compare(("title",), Order.ABOVE, marked),
            Matches(("x",), "sent"),
            Not(Exists((marked,))),
        )
    )
    found = statement(Query(filter_, (SortKey((marked,)),)), dialect)
    compiled = found.compile(
        dialect=create_mock_engine(f"{dialect}://", print).dialect,
        compile_kwargs={"render_postcompile": True},
    )
    assert "sent" not in str(compiled)


def test_the_most_that_a_query_may_be_is_answered(engine: Engine) -> None:
    path = ".".join("abcdefgh")
    several: list[JSON] = [{path: {"$in": ["a", 1, None, True]}, "x": {"$gte": "a"}}] * 22
    deep: Document = {"x": {"$regex": "a"}}
    for _ in range(13):
        deep = {"$nor": [deep]}
    asked: Document = {
        "$or": [*several, deep],
        "x": {"$in": list(range(1000))},
        "$sort": dict.fromkeys("abcdefgh", -1),
        "$skip": 10**9,
        "$limit": 10**9,
    }
    assert found(engine, [], [read_query(asked, DEFINITION)]) == [[]]
