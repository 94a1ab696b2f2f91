"""JSON Schemas (2020-12) of a collection's documents, made from its definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...config import BUILT_IN, Definition, Property, PropertyType
from ...transport import JSON

__all__ = [
    "MAX_NAME",
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "Schema",
    "changed_schema",
    "found_schema",
    "given_schema",
    "shown_schema",
]

MAX_NAME: Final = 256
"""Characters of a user's name or e-mail address: a token has room for the name."""

MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 1024
"""Characters of a password at the least and at the most."""

Schema = dict[str, JSON]

_DATE: Final[Schema] = {"type": "string", "format": "date-time"}
_KEPT: Final[Mapping[PropertyType, Schema]] = {
    PropertyType.STRING: {"type": ["string", "null"]},
    PropertyType.NUMBER: {"type": ["number", "null"]},
    PropertyType.BOOLEAN: {"type": ["boolean", "null"]},
    PropertyType.DATE: {"type": ["string", "null"], "format": "date-time"},
    PropertyType.ARRAY: {"type": ["array", "null"]},
    PropertyType.OBJECT: {"type": ["object", "null"]},
}
_DATE_GIVEN: Final[Schema] = {
    "type": ["string", "number", "null"],
    "format": "date-time",
    "minimum": -62_135_596_800_000,
    "maximum": 253_402_300_799_999,
    "description": "RFC 3339, a day such as 2026-11-25, or unix milliseconds; years 1 to 9999.",
}
_BUILT_IN_SHOWN: Final[Mapping[str, JSON]] = {
    "id": {"type": "string"},
    "createdAt": _DATE,
    "updatedAt": _DATE,
}
_PASSED_OVER: Final[Mapping[str, JSON]] = {
    name: {"description": "The pod alone writes this; what is sent is passed over."}
    for name in ("createdAt", "updatedAt")
}
_NAME: Final[Schema] = {"minLength": 1, "maxLength": MAX_NAME}
_OF_USERS: Final[Mapping[str, Schema]] = {
    "username": _NAME,
    "email": _NAME,
    "password": {"minLength": MIN_PASSWORD, "maxLength": MAX_PASSWORD, "format": "password"},
}
_NEW_ID: Final[Schema] = {
    "type": ["string", "null"],
    "pattern": "^[A-Za-z0-9_-]{0,64}$",
    "not": {"enum": ["count", "query"]},
    "description": "One's own choice; left out, null or empty, the pod chooses.",
}
_SAME_ID: Final[Schema] = {"type": "string", "description": "The document's own, if at all."}


def shown_schema(definition: Definition) -> Schema:
    """Return what a whole document is that the pod shows; private properties are not in it.

    What was written before the definition changed can be otherwise, and so nothing that the
    definition asks for is promised, but what the pod writes by itself is.
    """
    return {**_shown(definition), "required": list(BUILT_IN)}


def found_schema(definition: Definition) -> Schema:
    """Return what a document in a list is: `$fields` leaves out all but its id."""
    return {**_shown(definition), "required": ["id"]}


def given_schema(definition: Definition) -> Schema:
    """Return what a client may send to make a document."""
    required: list[JSON] = [
        name
        for name, about in definition.properties.items()
        if about.required and about.default is None
    ]
    schema = _given(definition, {"id": _NEW_ID, **_PASSED_OVER}, defaults=True)
    return {**schema, "required": required} if required else schema


def changed_schema(definition: Definition) -> Schema:
    """Return what a client may send to change a document: properties left out stay.

    Instead of a value there may be an operator, by which the pod makes the new value of the old.
    """
    schema = _given(definition, {"id": _SAME_ID, **_PASSED_OVER}, defaults=False)
    properties = schema["properties"]
    if isinstance(properties, dict):
        for name, about in definition.properties.items():
            if name in properties:
                properties[name] = {"anyOf": [properties[name], *_updates(about)]}
    return schema


def _updates(about: Property) -> Iterator[Schema]:
    """Yield what operators there are for a property."""
    if about.type is PropertyType.NUMBER:
        yield _operator("$inc", {"type": "number"})
    if about.type is PropertyType.ARRAY:
        for name in ("$push", "$pull", "$addToSet"):
            yield _operator(name, {"not": {"type": "object"}})
    if not about.required:
        yield _operator("$unset", {"const": True})


def _operator(name: str, operand: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {name: operand},
        "required": [name],
        "additionalProperties": False,
    }


def _shown(definition: Definition) -> Schema:
    own = {
        name: _KEPT[about.type]
        for name, about in definition.properties.items()
        if not about.private
    }
    return {"type": "object", "properties": {**_BUILT_IN_SHOWN, **own}}


def _given(definition: Definition, built_in: Mapping[str, JSON], *, defaults: bool) -> Schema:
    further = _OF_USERS if definition.name == "users" else {}
    properties: dict[str, JSON] = {
        name: {**_settable(about, defaults=defaults), **further.get(name, {})}
        for name, about in definition.properties.items()
        if not about.kept
    }
    schema: Schema = {"type": "object", "properties": {**built_in, **properties}}
    if definition.strict:
        if definition.has_owners:
            schema["properties"] = {definition.owner: {}, **built_in, **properties}
        schema["additionalProperties"] = False
    else:
        schema["propertyNames"] = {"pattern": "^[^$.\\u0000][^.\\u0000]*$", "maxLength": 256}
    return schema


def _settable(about: Property, *, defaults: bool) -> Schema:
    schema = dict(_DATE_GIVEN if about.type is PropertyType.DATE else _KEPT[about.type])
    if about.required and isinstance(types := schema["type"], list):
        schema["type"] = [name for name in types if name != "null"]
    if about.private:
        schema["writeOnly"] = True
    if not defaults or about.default is None:
        return schema
    if about.type is PropertyType.DATE and about.default == "now":
        schema["description"] = f"{schema['description']} Left out, it is the present moment."
    else:
        schema["default"] = about.default
    return schema
