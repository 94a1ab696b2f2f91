"""What the databases find is what `matching` finds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine, Index, Select, StaticPool, create_engine, event, select
from sqlalchemy.schema import CreateIndex

from deployd.config import Property
from deployd.transport.store import Query, matches, normalise_number, ordered, read_query
from deployd.transport.store.sql import (
    condition,
    index_expression,
    ordering,
    register_functions,
)
from deployd.transport.store.tables import documents_table
from support.queries import DEFINITION, JSON, Document, searches

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


def insert(connection: Connection, those: Sequence[Document]) -> None:
    sqlite = connection.dialect.name == "sqlite"
    for document in those:
        connection.execute(
            TABLE.insert().values(
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
