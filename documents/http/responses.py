"""What answers of a pod have in common, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ...transport import JSON
from .schemas import Schema

__all__ = ["REFUSAL", "REFUSALS", "body_of", "ref", "refusals", "response"]

REFUSAL: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "A sentence that tells the remedy."},
        "code": {"type": "string", "description": "A word for programs, where rooms answer."},
        "errors": {
            "type": "array",
            "description": "What is wrong with each property of a document.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
"""The body of every refusal."""


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def response(text: str, schema: Schema, headers: Mapping[str, JSON] | None = None) -> Schema:
    """Return a response with a JSON body."""
    content: JSON = {"application/json": {"schema": schema}}
    described: Schema = {"description": text, "content": content}
    return {**described, "headers": dict(headers)} if headers else described


def refusals(statuses: Collection[str]) -> dict[str, JSON]:
    """Return references to the refusals with these statuses, and with what any request may get."""
    return {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in sorted({*statuses, TOO_LONG})
    }


def body_of(schema: Schema) -> Schema:
    """Return a request body that has to be there."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


TOO_LONG: Final = "431"
"""What every request may get: a query that is longer than a head may be (RFC 6585 section 5)."""

_SECONDS: Final[Schema] = {
    "description": "Seconds after which to try again.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
}
_CHALLENGE: Final[Schema] = {"required": True, "schema": {"type": "string", "const": "Bearer"}}
_TEXTS: Final[Mapping[str, str]] = {
    "400": "The query, the body or the document will not do; `errors` names properties.",
    "401": "Nobody is signed in, or the token, key, name or password is not good.",
    "403": "This caller may not.",
    "404": "There is no such document, or nobody is in the room.",
    "408": "The body took too long to come.",
    "409": "The document keeps changing meanwhile: read it and try again. Or a room says no.",
    "412": "The document is in another state than `If-Match` and the like speak of.",
    "413": "The body is too large.",
    "415": "The body is not said to be JSON.",
    "429": "Too many tries from this address.",
    "431": "The head of the request is too large: its path, its query and its headers together.",
    "500": "An event script, or the pod, failed; the pod's log says why.",
    "503": "The pod or its database has too much to do, or the database is away.",
}
_HEADERS: Final[Mapping[str, Mapping[str, JSON]]] = {
    "401": {"WWW-Authenticate": _CHALLENGE},
    "429": {"Retry-After": _SECONDS},
    "503": {"Retry-After": {**_SECONDS, "required": False}},
}
REFUSALS: Final[Mapping[str, JSON]] = {
    status: response(text, ref("Error"), _HEADERS.get(status)) for status, text in _TEXTS.items()
}
"""Every refusal by its status, for the document's components."""
