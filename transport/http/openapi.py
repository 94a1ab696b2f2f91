"""The OpenAPI document (version 3.1) of a pod's collections, made from their definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ...config import Definition, Property, PropertyType, Right
from ..wire import JSON

__all__ = ["openapi"]

Schema = dict[str, JSON]

_ERRORS: Final[Mapping[str, str]] = {
    "400": "The query or the document will not do; `errors` names properties.",
    "401": "Nobody is signed in, or the token or key is not good.",
    "403": "This caller may not.",
    "404": "There is no such document.",
    "413": "The body is too large.",
    "415": "The body is not said to be JSON.",
    "500": "An event script, or the pod, failed; the pod's log says why.",
    "503": "The database is busy or away; try again after `Retry-After` seconds.",
}
_TYPES: Final[Mapping[PropertyType, Schema]] = {
    PropertyType.STRING: {"type": ["string", "null"]},
    PropertyType.NUMBER: {"type": ["number", "null"]},
    PropertyType.BOOLEAN: {"type": ["boolean", "null"]},
    PropertyType.DATE: {"type": ["string", "null"], "format": "date-time"},
    PropertyType.ARRAY: {"type": ["array", "null"]},
    PropertyType.OBJECT: {"type": ["object", "null"]},
}
_REFUSAL: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_LOGIN: Final[Schema] = {
    "type": "object",
    "properties": {
        "username": {"type": "string"},
        "password": {"type": "string"},
        "masterKey": {"type": "string"},
    },
}
_TOKEN: Final[Schema] = {
    "type": "object",
    "required": ["token", "expiresAt", "isRoot"],
    "properties": {
        "token": {"type": "string"},
        "expiresAt": {"type": "integer", "description": "Unix seconds."},
        "isRoot": {"type": "boolean"},
        "user": {"type": "object"},
    },
}
_ID: Final[Schema] = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def openapi(definitions: Sequence[Definition], version: str) -> Schema:
    """Return the document. What is private is not in it."""
    paths: dict[str, JSON] = {}
    schemas: dict[str, JSON] = {"Error": _REFUSAL}
    for definition in definitions:
        paths.update(_paths(definition))
        if not definition.no_store:
            schemas[definition.name] = _document(definition)
            schemas[f"{definition.name}.new"] = _given(definition)
    paths["/auth/login"] = {"post": _login()}
    paths["/auth/me"] = {"get": _operation("me", "Who is signed in", {"type": "object"}, "get")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "deployd", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "masterKey": {"type": "apiKey", "in": "header", "name": "X-Master-Key"},
            },
        },
    }


# -- one collection --------------------------------------------------------------------------


def _paths(definition: Definition) -> Iterator[tuple[str, JSON]]:
    name = definition.name
    if definition.no_store:
        anything: Schema = {}
        yield (
            f"/{name}",
            {
                "get": _operation(f"get_{name}", f"Run '{name}'", anything, "get"),
                "post": _operation(f"post_{name}", f"Run '{name}'", anything, "post", {}),
            },
        )
        return
    access, document = definition.access, _ref(name)
    listing: Schema = {"type": "array", "items": document}
    count: Schema = {"type": "object", "properties": {"count": {"type": "integer"}}}
    gone: Schema = {"type": "object", "properties": {"deleted": {"type": "integer"}}}
    yield (
        f"/{name}",
        {
            "get": _operation(
                f"find_{name}", f"Find {name}", listing, access.get, query=definition
            ),
            "post": _operation(
                f"create_{name}", f"Add to {name}", document, access.post, _ref(f"{name}.new")
            ),
        },
    )
    yield (
        f"/{name}/count",
        {"get": _operation(f"count_{name}", f"Count {name}", count, access.get, query=definition)},
    )
    yield (
        f"/{name}/{{id}}",
        {
            "parameters": [_ID],
            "get": _operation(f"get_{name}", f"Read one of {name}", document, access.get),
            "put": _operation(
                f"change_{name}",
                f"Change one of {name}; properties that are not named stay",
                document,
                access.put,
                {"type": "object"},
            ),
            "delete": _operation(f"delete_{name}", f"Remove one of {name}", gone, access.delete),
        },
    )


def _operation(
    name: str,
    summary: str,
    answer: Schema,
    right: Right | str,
    body: Schema | None = None,
    *,
    query: Definition | None = None,
) -> Schema:
    responses: dict[str, JSON] = {"200": _response("What was asked for.", answer)}
    responses.update({status: _response(text, _ref("Error")) for status, text in _ERRORS.items()})
    operation: Schema = {"operationId": name, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    if query is not None:
        operation["parameters"] = list(_query(query))
    if right != Right.ANYONE:
        operation["security"] = [{"token": []}, {"masterKey": []}]
    return operation


def _query(definition: Definition) -> Iterator[Schema]:
    """List what a URL may ask: an equal value for each property, and the four options."""
    for name, about in definition.properties.items():
        if not about.private and about.type in _ASKED:
            yield _parameter(name, _ASKED[about.type], f"Documents whose {name} is this.")
    number: Schema = {"type": "integer", "minimum": 0, "maximum": 1_000_000}
    yield _parameter("$limit", number, "So many documents at most.")
    yield _parameter("$skip", number, "Leave out so many first.")
    yield _parameter("$sort", {"type": "string"}, 'JSON such as {"createdAt": -1}.')
    yield _parameter("$fields", {"type": "string"}, 'JSON such as {"title": 1}.')


_ASKED: Final[Mapping[PropertyType, Schema]] = {
    PropertyType.STRING: {"type": "string"},
    PropertyType.NUMBER: {"type": "number"},
    PropertyType.BOOLEAN: {"type": "boolean"},
    PropertyType.DATE: {"type": "string", "format": "date-time"},
}


def _parameter(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _document(definition: Definition) -> Schema:
    properties: dict[str, JSON] = {
        "id": {"type": "string"},
        "createdAt": {"type": "string", "format": "date-time"},
        "updatedAt": {"type": "string", "format": "date-time"},
    }
    for name, about in definition.properties.items():
        if not about.private:
            properties[name] = _TYPES[about.type]
    # A script may hide whatever it likes, so that nothing is certain to be shown.
    return {"type": "object", "properties": properties}


def _given(definition: Definition) -> Schema:
    properties = {name: _settable(about) for name, about in definition.properties.items()}
    required: list[JSON] = [
        name
        for name, about in definition.properties.items()
        if about.required and about.default is None
    ]
    schema: Schema = {"type": "object", "properties": dict(properties)}
    if required:
        schema["required"] = required
    if definition.strict:
        schema["additionalProperties"] = False
    return schema


def _settable(about: Property) -> JSON:
    schema = dict(_TYPES[about.type])
    if about.required and isinstance(types := schema["type"], list):
        schema["type"] = types[0]
    if about.default is not None:
        schema["default"] = about.default
    return schema


def _login() -> Schema:
    return _operation("login", "Sign in", _TOKEN, Right.ANYONE, _LOGIN)


def _response(text: str, schema: Schema) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
