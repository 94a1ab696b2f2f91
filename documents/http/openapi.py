"""The OpenAPI document (version 3.1) of a pod's collections, made from their definitions.

It says what holds for every answer, no more: where an event script decides what is answered, any
JSON is, with any status. `tests/integration/documents/test_schemathesis.py` holds the pod to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from ...config import Definition, PropertyType, Right
from ...transport import JSON
from .responses import REFUSAL, REFUSALS, body_of, ref, refusals, response
from .room_paths import ROOMS
from .schemas import Schema, changed_schema, found_schema, given_schema, shown_schema
from .sign_in_paths import SIGNING_IN

__all__ = ["Offer", "openapi"]

_TRUNCATED: Final[Schema] = {
    "description": "There, and 'true', when a bound of the pod's has left documents out.",
    "schema": {"type": "string", "const": "true"},
}
_ANYTHING: Final[Schema] = {}
_ID: Final[Schema] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}
_GONE: Final[Schema] = {
    "type": "object",
    "required": ["deleted"],
    "properties": {"deleted": {"const": 1}},
}
_GONE_MANY: Final[Schema] = {
    "type": "object",
    "required": ["deleted"],
    "properties": {"deleted": {"type": "integer", "minimum": 0}},
}
_ONLY_ID: Final[Schema] = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}},
    "additionalProperties": False,
}
_COUNT: Final[Schema] = {
    "type": "object",
    "required": ["count"],
    "properties": {"count": {"type": "integer", "minimum": 0}},
}


_POSTED: Final = "_by_post"
"""How the name of an operation ends that reads with a query in its body."""


@frozen
class Offer:
    """A collection as it is offered to somebody: what there is that this one may do with it.

    `events` are those that have a script, `methods` some of get, post, put and delete; `root` may
    do what nobody else may.
    """

    definition: Definition
    events: frozenset[str]
    methods: frozenset[str]
    root: bool = False


def openapi(offers: Sequence[Offer], version: str) -> Schema:
    """Return the document, which tells of nothing but what is offered.

    What is private is in no answer of it, and named only where it may be written.
    """
    paths: dict[str, JSON] = {}
    schemas: dict[str, JSON] = {"Error": REFUSAL}
    for offer in offers:
        described = _CollectionPaths(offer)
        paths.update(described.paths())
        schemas.update(described.schemas())
    paths.update(SIGNING_IN)
    paths.update(ROOMS)
    return {
        "openapi": "3.1.0",
        "info": {"title": "deployd", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": dict(REFUSALS),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "masterKey": {"type": "apiKey", "in": "header", "name": "X-Master-Key"},
            },
        },
    }


# -- one collection --------------------------------------------------------------------------


class _CollectionPaths:
    """One collection and its scripts, as they are offered."""

    def __init__(self, offer: Offer) -> None:
        self.definition = offer.definition
        self.events = offer.events
        self.methods = offer.methods
        self.root = offer.root

    def schemas(self) -> Iterator[tuple[str, JSON]]:
        name = self.definition.name
        if self.definition.no_store:
            return
        if "get" in self.methods:
            yield name, shown_schema(self.definition)
            yield f"{name}.found", found_schema(self.definition)
        if "post" in self.methods:
            yield f"{name}.new", given_schema(self.definition)
        if "put" in self.methods:
            yield f"{name}.change", changed_schema(self.definition)

    def paths(self) -> Iterator[tuple[str, JSON]]:
        for path, shared, operations in self._paths():
            offered = {
                method: operation
                for method, operation in operations.items()
                if _right_of(method, operation) in self.methods
            }
            if offered:
                yield path, {**shared, **offered}

    def _paths(self) -> Iterator[tuple[str, Schema, Schema]]:
        """Yield each path, what its operations have in common, and these by method."""
        name = self.definition.name
        if self.definition.no_store:
            yield f"/{name}", {}, self._runs(name)
            part = {**_ID, "name": "part"}
            yield f"/{name}/{{part}}", {"parameters": [part]}, self._runs(f"{name}_part")
            return
        root = {"delete": self._delete_found()} if self.root else {}
        yield f"/{name}", {}, {"get": self._find(), "post": self._create(), **root}
        yield f"/{name}/count", {}, {"get": self._count(), "post": self._posted(self._count())}
        yield f"/{name}/query", {}, {"post": self._posted(self._find())}
        one: Schema = {
            "get": self._get(),
            "put": self._change(),
            "patch": self._merge(),
            "delete": self._delete(),
        }
        yield f"/{name}/{{id}}", {"parameters": [_ID]}, one

    def _find(self) -> Schema:
        name = self.definition.name
        items = _ANYTHING if "get" in self.events else ref(f"{name}.found")
        array: Schema = {"type": "array", "items": items}
        found = response("The documents.", array, {"X-Truncated": _TRUNCATED})
        operation = self._operation(f"find_{name}", f"Find {name}", "get", found, runs=("get",))
        return {**operation, "parameters": [*_properties(self.definition), *_OPTIONS]}

    def _count(self) -> Schema:
        name = self.definition.name
        count = response("How many there are.", _COUNT)
        operation = self._operation(f"count_{name}", f"Count {name}", "get", count)
        return {**operation, "parameters": list(_properties(self.definition))}

    def _posted(self, reading: Schema) -> Schema:
        """Describe what reads with a query in its body, as it reads with one in the URL."""
        posted = {key: value for key, value in reading.items() if key != "parameters"}
        responses = reading["responses"]
        more = refusals({"408", "413", "415"})
        return {
            **posted,
            "operationId": f"{reading['operationId']}{_POSTED}",
            "summary": f"{reading['summary']}; the body is the query, as long as it may be",
            "requestBody": body_of(_query_schema(self.definition)),
            "responses": {**more, **(responses if isinstance(responses, dict) else {})},
        }

    def _get(self) -> Schema:
        name = self.definition.name
        return self._operation(
            f"get_{name}",
            f"Read one of {name}",
            "get",
            self._document("get"),
            runs=("get",),
            refused=("403", "404"),
        )

    def _create(self) -> Schema:
        name = self.definition.name
        runs = ("validate", "post")
        return self._operation(
            f"create_{name}",
            f"Add to {name}",
            "post",
            self._document(*runs, many=True),
            runs=runs,
            body=self._one_or_many(ref(f"{name}.new")),
        )

    def _change(self) -> Schema:
        name = self.definition.name
        runs = ("validate", "put")
        return self._operation(
            f"change_{name}",
            f"Change one of {name}; properties that are not named stay",
            "put",
            self._document(*runs),
            runs=runs,
            body=ref(f"{name}.change"),
            refused=("403", "404", "409", "412"),
        )

    def _merge(self) -> Schema:
        name = self.definition.name
        return {
            **self._change(),
            "operationId": f"merge_{name}",
            "summary": f"Change one of {name} by a merge patch (RFC 7396): null takes out",
        }

    def _delete(self) -> Schema:
        name = self.definition.name
        gone = response("It is gone.", _ANYTHING if "delete" in self.events else _GONE)
        return self._operation(
            f"delete_{name}",
            f"Remove one of {name}",
            "delete",
            gone,
            runs=("delete",),
            refused=("403", "404", "409", "412"),
        )

    def _delete_found(self) -> Schema:
        name = self.definition.name
        gone = response("How many are gone.", _GONE_MANY, {"X-Truncated": _TRUNCATED})
        operation = self._operation(
            f"delete_found_{name}",
            f"Remove all of {name} that a query finds, or none; root alone may",
            "delete",
            gone,
            runs=("delete",),
            refused=("403", "404", "409"),
        )
        return {
            **operation,
            "security": list(_security(Right.ROOT)),
            "parameters": [_CONDITION, *_properties(self.definition), _LIMIT],
        }

    def _one_or_many(self, schema: Schema) -> Schema:
        if self.definition.name == "users":  # they are added one by one
            return schema
        return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}

    def _document(self, *runs: str, many: bool = False) -> Schema:
        """Describe the answer with a document: who may not see it is told its id."""
        text, schema = "The document.", self._shown(*runs)
        if schema is not _ANYTHING and "get" not in self.methods:
            text = "The id of the document, which is not shown."
        elif schema is not _ANYTHING and self.definition.access.get is Right.OWNER:
            text = "The document, or its id when it is somebody else's."
        return response(text, self._one_or_many(schema) if many and schema else schema)

    def _shown(self, *runs: str) -> Schema:
        if self.events.intersection({"get", *runs}):
            return _ANYTHING
        if "get" not in self.methods:
            return _ONLY_ID
        whole = ref(self.definition.name)
        if self.definition.access.get is not Right.OWNER:
            return whole
        return {"anyOf": [whole, _ONLY_ID]}

    def _runs(self, name: str) -> Schema:
        """Describe a collection that only runs scripts: each is a method."""
        return {
            method: self._operation(
                f"{method}_{name}",
                f"Run the script '{method}'",
                method,
                response("What the script answers.", _ANYTHING),
                runs=(method,),
                body={"type": "object"} if method in ("post", "put") else None,
            )
            for method in ("get", "post", "put", "delete")
            if method in self.events
        }

    def _operation(
        self,
        name: str,
        summary: str,
        method: str,
        answer: Schema,
        *,
        runs: Sequence[str] = (),
        body: Schema | None = None,
        refused: Sequence[str] = (),
    ) -> Schema:
        """Describe an operation that may run these scripts, and be refused for these reasons."""
        right: Right = getattr(self.definition.access, method)
        statuses = {"400", "401", "429", "500", "503", *refused}
        if body is not None:
            statuses |= {"408", "413", "415"}
        if right is Right.ROOT:
            statuses.add("403")
        responses: dict[str, JSON] = {"200": answer, **refusals(statuses)}
        if self.events.intersection({"beforerequest", *runs}):
            responses["default"] = response("What an event script answers.", _ANYTHING)
        operation: Schema = {
            "operationId": name,
            "summary": summary,
            "responses": responses,
            "security": list(_security(right)),
        }
        if body is not None:
            operation["requestBody"] = body_of(body)
        return operation


def _right_of(method: str, operation: JSON) -> str:
    """Return the method whose right an operation needs."""
    if isinstance(operation, dict) and str(operation["operationId"]).endswith(_POSTED):
        return "get"
    return "put" if method == "patch" else method


def _security(right: Right) -> Iterator[JSON]:
    if right is Right.ANYONE:
        yield {}
    yield {"token": []}
    yield {"masterKey": []}


# -- what a URL may ask ----------------------------------------------------------------------

# What begins like JSON is read as JSON.
_TEXT: Final[Schema] = {"type": "string", "pattern": r'^(?![\[{"])[^\u0000]*$'}
_ASKED: Final[Mapping[PropertyType, Schema]] = {
    PropertyType.STRING: _TEXT,
    PropertyType.NUMBER: {"type": "number"},
    PropertyType.BOOLEAN: {"type": "boolean"},
    PropertyType.DATE: {"type": "string", "format": "date-time"},
}


def _properties(definition: Definition) -> Iterator[Schema]:
    """List an equal value for each property that can be asked for."""
    for name, about in definition.properties.items():
        if not about.private and about.type in _ASKED:
            yield _parameter(name, _ASKED[about.type], f"Documents whose {name} is this.")


def _query_schema(definition: Definition) -> Schema:
    """Describe a query in a body by what is said of the same in a URL; more is possible."""
    described: dict[str, JSON] = {
        "$limit": {**_WHOLE, "maximum": 2**63},
        "$skip": {**_WHOLE, "maximum": 10**9},
    }
    for name, about in definition.properties.items():
        if not about.private and about.type in _ASKED:
            described[name] = _ASKED[about.type]
    return {
        "type": "object",
        "properties": described,
        "additionalProperties": False,
        "description": "Equal values and bounds; the operators are in docs/collections.md.",
    }


def _parameter(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _json_parameter(name: str, schema: Schema, text: str) -> Schema:
    content: JSON = {"application/json": {"schema": schema}}
    return {"name": name, "in": "query", "content": content, "description": text}


_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_CONDITION: Final[Schema] = {
    **_parameter("id.$exists", {"const": True}, "All; any other condition may take its place."),
    "required": True,
}
_LIMIT: Final = _parameter(
    "$limit",
    {**_WHOLE, "maximum": 2**64 - 1},
    "So many documents at most; the pod has a bound of its own.",
)
_PATH: Final[Schema] = {"pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"}
_OPTIONS: Final[Sequence[Schema]] = (
    _LIMIT,
    _parameter("$skip", {**_WHOLE, "maximum": 10**9}, "Leave out so many first."),
    _json_parameter(
        "$sort",
        {
            "type": "object",
            "propertyNames": _PATH,
            "additionalProperties": {"enum": [1, -1]},
            "maxProperties": 8,
        },
        'What to order by, such as {"createdAt": -1}.',
    ),
    _json_parameter(
        "$fields",
        {
            "type": "object",
            "propertyNames": _PATH,
            "additionalProperties": {"const": 1},
            "minProperties": 1,
            "maxProperties": 200,
        },
        'What to show of each, such as {"title": 1}; {"title": 0} leaves out.',
    ),
)
