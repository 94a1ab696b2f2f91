"""Annotations as JSON Schema: what clients may send, and what they are answered.

Both the AsyncAPI document and the types for TypeScript are made from it. Draft 7, as AsyncAPI has
it. `payloads` builds by the same annotations; a test holds the two together.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias, cast

from typing_extensions import is_typeddict

from ....transport import JSON
from .annotations import (
    bare,
    fields_of,
    is_class,
    is_enum,
    is_json,
    is_list,
    is_mapping,
    is_tuple,
    is_union,
)

__all__ = ["Schema", "Schemas", "may_be_left_out"]

Schema: TypeAlias = dict[str, JSON]

_REFERENCE: Final = "#/components/schemas/"
_SCALARS: Final[dict[object, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
    None: "null",
}


class Schemas:
    """Describes annotations; classes and enumerations get a name, and are described once.

    `named` are these, by names that are none of `taken`. A field with a default may be left out of
    what is sent, and is always there in what is answered: where that makes a difference a class has
    two descriptions.
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        self.named: dict[str, Schema] = {}
        self._taken = set(taken)
        self._names: dict[tuple[object, bool], str] = {}
        self._kinds: Sequence[tuple[Callable[[object], bool], Callable[[Any, bool], Schema]]] = (
            (_has_a_name, self._name),
            (is_mapping, self._mapping),
            (is_list, self._list),
            (is_tuple, self._tuple),
            (_is_literal, self._literal),
            (is_union, self._union),
        )

    def sent(self, kind: object) -> Schema:
        """Describe what clients send to whoever takes this."""
        return self._describe(kind, False)

    def answered(self, kind: object) -> Schema:
        """Describe what clients are answered by whoever gives this."""
        return self._describe(kind, True)

    def _describe(self, kind: object, answered: bool) -> Schema:
        kind = bare(kind)
        if is_json(kind):
            return {}
        if kind in _SCALARS:
            return {"type": _SCALARS[kind]}
        for fits, describe in self._kinds:
            if fits(kind):
                return describe(kind, answered)
        raise TypeError(f"{kind!r} was never checked")

    def _name(self, kind: Any, answered: bool) -> Schema:
        key = (kind, answered and _has_defaults(kind, set()))
        if key not in self._names:
            name = self._names[key] = self._free_name(kind.__name__, key[1])
            self.named[name] = {}  # its place, for it may hold others, or itself
            body = _enum(kind) if is_enum(kind) else self._object(kind, answered)
            about = _docstring(kind)
            self.named[name] = {**({"description": about} if about else {}), **body}
        return {"$ref": f"{_REFERENCE}{self._names[key]}"}

    def _free_name(self, wanted: str, answered: bool) -> str:
        for name in _candidates(wanted, answered):
            if name not in self._taken:
                self._taken.add(name)
                return name
        raise AssertionError("there is always another number")

    def _object(self, kind: type, answered: bool) -> Schema:
        properties, required = dict[str, JSON](), list[JSON]()
        for name, one, needed in fields_of(kind):
            properties[name] = self._describe(one, answered)
            if needed or (answered and is_class(kind)):
                required.append(name)
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
        }

    def _list(self, kind: object, answered: bool) -> Schema:
        return {"type": "array", **self._of("items", kind, answered)}

    def _mapping(self, kind: object, answered: bool) -> Schema:
        return {"type": "object", **self._of("additionalProperties", kind, answered)}

    def _of(self, key: str, kind: object, answered: bool) -> Schema:
        """Describe what is in a list or a dict: the last of its arguments."""
        arguments = typing.get_args(kind)
        return {key: self._describe(arguments[-1], answered)} if arguments else {}

    def _tuple(self, kind: object, answered: bool) -> Schema:
        parts = typing.get_args(kind)
        if parts[-1] is ...:
            return {"type": "array", "items": self._describe(parts[0], answered)}
        items: list[JSON] = [self._describe(one, answered) for one in parts]
        bounds: Schema = {"minItems": len(items), "maxItems": len(items)}
        return {"type": "array", "items": items, **bounds}

    def _union(self, kind: object, answered: bool) -> Schema:
        return {"anyOf": [self._describe(one, answered) for one in typing.get_args(kind)]}

    def _literal(self, kind: object, _: bool) -> Schema:
        return {"enum": list(typing.get_args(kind))}


def may_be_left_out(schema: Schema) -> bool:
    """Whether null is as good, which is what a message without data has."""
    several = schema.get("anyOf")
    inside = several if isinstance(several, list) else []
    known = schema.get("enum")
    return (
        not schema
        or schema.get("type") == "null"
        or (isinstance(known, list) and None in known)
        or any(may_be_left_out(one) for one in inside if isinstance(one, dict))
    )


def _has_a_name(kind: object) -> bool:
    return is_class(kind) or is_typeddict(kind) or is_enum(kind)


def _is_literal(kind: object) -> bool:
    return typing.get_origin(kind) is Literal


def _candidates(wanted: str, answered: bool) -> Iterator[str]:
    yield wanted
    if answered:
        yield f"{wanted}Answer"
    number = 2
    while True:
        yield f"{wanted}{number}"
        number += 1


def _enum(kind: Any) -> Schema:
    plain = [one.value for one in kind if type(one.value) in _SCALARS]
    return {"enum": cast("list[JSON]", plain)}


def _docstring(kind: type) -> str:
    """Return what an author has written of a class; dataclasses write something themselves."""
    own = vars(kind).get("__doc__") or ""
    return "" if own.startswith(f"{kind.__name__}(") else inspect.cleandoc(own)


def _has_defaults(kind: object, seen: set[object]) -> bool:
    """Whether a field of it, or of what is in it, may be left out and has a value then."""
    kind = bare(kind)
    if kind in seen:
        return False
    seen.add(kind)
    if is_class(kind) or is_typeddict(kind):
        fields = fields_of(cast("type", kind))
        own = is_class(kind) and not all(needed for _, _, needed in fields)
        return own or any(_has_defaults(one, seen) for _, one, _ in fields)
    return any(_has_defaults(one, seen) for one in typing.get_args(kind) if one is not ...)
