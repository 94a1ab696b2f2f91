"""What the annotation of a payload or an answer may be: what JSON could become, and back."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeGuard, cast

import attrs
from typing_extensions import is_typeddict

from ....config import JSON

__all__ = [
    "NoPayload",
    "bare",
    "check_annotation",
    "fields_of",
    "is_choice",
    "is_class",
    "is_enum",
    "is_json",
    "is_list",
    "is_mapping",
    "is_tuple",
    "is_union",
    "name_of_kind",
]


class NoPayload(Exception):
    """An annotation of which no client could send anything; the text says what of it."""


class _Field:
    json: JSON


_ANYTHING: Final = (typing.get_type_hints(_Field)["json"], JSON, object, Any)
_SCALARS: Final = (bool, int, float, str, type(None), None)
_LISTS: Final = (list, collections.abc.Sequence, collections.abc.MutableSequence)
_MAPPINGS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_WRAPPERS: Final = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final)


def check_annotation(kind: object) -> None:
    """Raise `NoPayload` where a type is none that JSON could become, or become JSON."""
    _check(kind, "", set())


def is_json(kind: object) -> bool:
    """Say whether anything may come that JSON can say."""
    return any(kind is one or kind == one for one in _ANYTHING)


def is_class(kind: object) -> TypeGuard[type]:
    """Say whether it is a class with fields: of attrs, or a dataclass."""
    return isinstance(kind, type) and (attrs.has(kind) or dataclasses.is_dataclass(kind))


def is_list(kind: object) -> bool:
    """Say whether it is a list."""
    return _form(kind) in _LISTS


def is_mapping(kind: object) -> bool:
    """Say whether it is a dict with any keys."""
    return _form(kind) in _MAPPINGS


def is_tuple(kind: object) -> bool:
    """Say whether it is a tuple of so many, or of any number of one type."""
    return typing.get_origin(kind) is tuple


def is_union(kind: object) -> bool:
    """Say whether it is one of several types."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType) and not is_json(kind)


def is_enum(kind: object) -> TypeGuard[type[enum.Enum]]:
    """Say whether it is an enumeration."""
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def is_choice(kind: object) -> bool:
    """Say whether it is one of a few values."""
    return is_enum(kind) or typing.get_origin(kind) is Literal


def name_of_kind(kind: object) -> str:
    """Return what an author has written."""
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def _form(kind: object) -> object:
    return typing.get_origin(kind) or kind


def bare(kind: object) -> object:
    """Take off what says nothing of the form."""
    while True:
        if isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif typing.get_origin(kind) in _WRAPPERS:
            kind = typing.get_args(kind)[0]
        else:
            return kind


def fields_of(kind: type) -> list[tuple[str, object, bool]]:
    """Return the fields of a class or a `TypedDict`: name, type, and whether it has to be there.

    Raises `NameError` for an annotation that cannot be read.
    """
    if is_typeddict(kind):
        return _fields_of_dict(kind)
    hints = typing.get_type_hints(kind)
    required = dict(_required(kind))
    return [(name, hints.get(name, object), needed) for name, needed in required.items()]


def _required(kind: type) -> Iterator[tuple[str, bool]]:
    if dataclasses.is_dataclass(kind):
        for field in dataclasses.fields(kind):
            if field.init:
                yield field.name, field.default is field.default_factory is dataclasses.MISSING
    else:
        for attribute in attrs.fields(kind):
            if attribute.init:
                yield attribute.name, attribute.default is attrs.NOTHING


def _fields_of_dict(kind: type) -> list[tuple[str, object, bool]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    marks = {name: typing.get_origin(one) for name, one in hints.items()}
    needed = {
        name: mark is typing.Required or (name in required and mark is not typing.NotRequired)
        for name, mark in marks.items()
    }
    return [(name, one, needed[name]) for name, one in hints.items()]


def _check(kind: object, path: str, seen: set[object]) -> None:
    kind = bare(kind)
    if is_json(kind) or kind in _SCALARS or is_choice(kind) or kind in seen:
        return
    seen.add(kind)
    if is_class(kind) or is_typeddict(kind):
        for name, annotation in _readable_fields(cast("type", kind), path):
            _check(annotation, f"{path}.{name}" if path else name, seen)
    elif is_mapping(kind) and typing.get_args(kind):
        keys, values = typing.get_args(kind)
        if keys is not str:
            raise NoPayload(f"{_at(path)}the keys of {name_of_kind(kind)} are no texts")
        _check(values, path, seen)
    elif is_list(kind) or is_tuple(kind) or is_union(kind) or is_mapping(kind):
        for argument in typing.get_args(kind):
            if argument is not ...:
                _check(argument, path, seen)
    else:
        raise NoPayload(f"{_at(path)}{name_of_kind(kind)} is nothing that JSON could say")


def _readable_fields(kind: type, path: str) -> list[tuple[str, object]]:
    try:
        return [(name, annotation) for name, annotation, _ in fields_of(kind)]
    except NameError as error:
        raise NoPayload(f"{_at(path)}{name_of_kind(kind)} cannot be read: {error}") from error


def _at(path: str) -> str:
    return f"its field '{path}': " if path else ""
