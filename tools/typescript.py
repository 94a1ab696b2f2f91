"""Rooms as TypeScript has it: an interface for each class, and one for each type in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from ..actors import Room
from ..actors.rooms import EventOffer, RoomOffer, Schema, Schemas, may_be_left_out, offer_of

__all__ = ["declarations"]

_HEAD: Final = (
    "// Written by `deployd types` from the classes of rooms; do it anew when they change.\n"
)
_TAKEN: Final = frozenset(
    [
        *("any", "bigint", "boolean", "case", "catch", "const", "debugger", "default", "delete"),
        *("do", "enum", "export", "extends", "false", "function", "implements", "instanceof"),
        *("interface", "let", "never", "new", "null", "number", "object", "package", "private"),
        *("protected", "public", "static", "string", "super", "switch", "symbol", "this"),
        *("throw", "true", "typeof", "undefined", "unknown", "var", "void"),
    ]
)
"""Words of the language: no type has such a name."""
_PLAIN: Final = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_OTHERS: Final = "[event: string]: { data?: any; answer: any };"


def declarations(bindings: Mapping[str, type[Room[Any]]]) -> str:
    """Return a file of types: what each class of rooms takes and answers, by its name."""
    patterns: dict[type[Room[Any]], list[str]] = {}
    for pattern, cls in bindings.items():
        patterns.setdefault(cls, []).append(pattern)
    names = _names(patterns)
    schemas = Schemas(taken=_TAKEN | set(names.values()))
    rooms = [
        _room(names[cls], offer_of(cls, schemas), bound_to) for cls, bound_to in patterns.items()
    ]
    types = [_type(name, schema) for name, schema in schemas.named.items()]
    return "\n".join([_HEAD, *rooms, *types])


def _names(classes: Mapping[type, object]) -> dict[type, str]:
    """Name classes; those of one name are numbered."""
    names: dict[type, str] = {}
    for cls in classes:
        name, number = cls.__name__, 2
        while name in _TAKEN or name in names.values():
            name, number = f"{cls.__name__}{number}", number + 1
        names[cls] = name
    return names


def _room(name: str, offer: RoomOffer, patterns: Sequence[str]) -> str:
    bound_to = f"Bound to {', '.join(patterns)}."
    lines = list(_comment(f"{offer.about}\n\n{bound_to}" if offer.about else bound_to, ""))
    lines.append(f"export interface {name} {{")
    if offer.params is not None:
        lines.append(f"  {_field('params', offer.params)};")
    lines.append("  emits: {")
    for event in offer.events:
        lines += [*_comment(event.about, "    "), f"    {_event(event)}"]
    if offer.others:
        lines.append(f"    {_OTHERS}")
    return "\n".join([*lines, "  };", "}", ""])


def _event(event: EventOffer) -> str:
    data = "" if event.takes is None else f"{_field('data', event.takes)}; "
    answer = "null" if event.gives is None else _written(event.gives)
    return f"{_key(event.event)}: {{ {data}answer: {answer} }};"


def _field(name: str, schema: Schema) -> str:
    return f"{name}{'?' if may_be_left_out(schema) else ''}: {_written(schema)}"


def _type(name: str, schema: Schema) -> str:
    lines = list(_comment(str(schema.get("description", "")), ""))
    if "properties" not in schema:
        return "\n".join([*lines, f"export type {name} = {_written(schema)};", ""])
    fields = [f"  {field};" for field in _fields(schema)]
    return "\n".join([*lines, f"export interface {name} {{", *fields, "}", ""])


# -- a schema as a type ----------------------------------------------------------------------


def _written(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return _either([json.dumps(one) for one in cast("list[object]", schema["enum"])])
    if "anyOf" in schema:
        return _either([_written(one) for one in cast("list[Schema]", schema["anyOf"])])
    kind = schema.get("type", "any")
    if kind == "array":
        return _list(schema)
    if kind == "object":
        return f"{{ [key: string]: {_inner(schema, 'additionalProperties')} }}"
    return "number" if kind == "integer" else str(kind)


def _either(parts: Sequence[str]) -> str:
    return " | ".join(dict.fromkeys(parts)) or "never"


def _list(schema: Schema) -> str:
    parts = schema.get("items")
    if isinstance(parts, list):
        return f"[{', '.join(_written(cast('Schema', one)) for one in parts)}]"
    inner = _inner(schema, "items")
    return f"({inner})[]" if " | " in inner else f"{inner}[]"


def _inner(schema: Schema, key: str) -> str:
    return _written(cast("Schema", schema.get(key, {})))


def _fields(schema: Schema) -> Iterator[str]:
    required = cast("list[str]", schema.get("required", []))
    for name, one in cast("dict[str, Schema]", schema["properties"]).items():
        yield f"{_key(name)}{'' if name in required else '?'}: {_written(one)}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def _comment(about: str, indent: str) -> Iterator[str]:
    lines = about.replace("*/", "* /").splitlines()
    if len(lines) == 1:
        yield f"{indent}/** {lines[0]} */"
    elif lines:
        yield f"{indent}/**"
        yield from (f"{indent} * {line}".rstrip() for line in lines)
        yield f"{indent} */"
