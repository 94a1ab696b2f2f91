"""From TOML to a `Scenario`: strictly, nothing coerced, all problems in one pass by their paths."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from ....config import FailurePolicy, ReceiptPolicy
from ....config.fields import setting_of, shown
from ....config.places import joined, place_of
from .checks import objections
from .errors import BadScenario, near
from .faults import Trouble
from .inner_faults import FAULTS
from .schema import Scenario, ScenarioStep

__all__ = ["fields_of", "key_in_files", "parse", "read_scenario", "without_none"]

LARGEST: Final = 256 * 1024
"""Bytes of a file that is read: the longest of ours has some two thousand."""
_KEYS: Final = {"lasting": "for", "trouble": "with"}


class _Wrong(ValueError):
    """A value is not what it must be; the sentence lacks the path, found on the way up."""


def read_scenario(path: Path) -> Scenario:
    """Read a scenario's file; it is named as the file is. Raises `BadScenario`."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise BadScenario(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(data) > LARGEST:
        raise BadScenario(f"{path} is larger than {LARGEST} bytes: no scenario is.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadScenario(f"{path} is no text in UTF-8 (byte {error.start}).") from error
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, origin: str) -> Scenario:
    """Read a scenario; `origin` is what its problems begin with. Raises `BadScenario`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadScenario(f"{origin} is no TOML: {error}.") from error
    try:
        made = attrs.evolve(_converter.structure(document, Scenario), name=name)
    except (BaseValidationError, _Wrong) as error:
        raise BadScenario(*(_line(origin, each) for each in _problems(error, ""))) from None
    problems = [_line(origin, each) for each in objections(made)]
    if problems:
        raise BadScenario(*problems)
    return made


def fields_of(kind: type) -> tuple[attrs.Attribute[object], ...]:
    """Return what a table of files may hold: the name of a scenario is its file's."""
    fields = attrs.fields(cast("type[attrs.AttrsInstance]", kind))
    return tuple(each for each in fields if (kind, each.name) != (Scenario, "name"))


def key_in_files(attribute: str) -> str:
    """Return the key of an attribute: `for` and `with` are no names in Python."""
    return _KEYS.get(attribute, attribute)


def without_none(kind: object) -> object:
    """Return the type of what is there, of something that may be missing."""
    if type(None) in get_args(kind):
        return next(each for each in get_args(kind) if each is not type(None))
    return kind


# What is wrong -------------------------------------------------------------------------------


def _problems(error: BaseException, path: str) -> Iterator[str]:
    match error:
        case BaseValidationError():
            for inner in error.exceptions:
                yield from _problems(inner, place_of(path, inner, key_in_files))
        case ForbiddenExtraKeysError():
            known = [key_in_files(each.name) for each in fields_of(error.cl)]
            known += ["fault"] if error.cl is ScenarioStep else []
            for key in sorted(map(str, error.extra_fields)):
                yield f"{joined(path, key)} is no field; {near(key, known)}"
        case _Wrong():
            yield f"{path or 'the file'} {error}"
        case _:  # a bug of this module, not of the file
            raise error


def _line(origin: str, problem: str) -> str:
    return f"{origin}: {problem}" + ("" if problem.endswith("?") else ".")


# How each is read ----------------------------------------------------------------------------

_SHAPES: Final[Mapping[object, tuple[str, Callable[[object], bool]]]] = {
    bool: ("true or false", lambda value: type(value) is bool),
    int: ("a whole number", lambda value: type(value) is int),
    float: (
        "a number",
        lambda value: type(value) in (int, float) and math.isfinite(cast("float", value)),
    ),
    str: ("text", lambda value: isinstance(value, str)),
    tuple: ("a list", lambda value: isinstance(value, list)),
    Mapping: ("a table", lambda value: isinstance(value, Mapping)),
}


def _value(about_expected: Callable[[str], str], kind: object, value: object) -> None:
    """Refuse a value of another shape than its type's."""
    words = _words(kind)
    if words:
        if value not in words:
            raise _Wrong(f"cannot be {shown(value)}; {near(str(value), words)}")
        return
    described, accepts = _SHAPES[get_origin(kind) or kind]
    if not accepts(value):
        raise _Wrong(f"must be {about_expected(described)}, not {shown(value)}")


def _words(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def _field_hook(converter: cattrs.Converter, attribute: attrs.Attribute[object]) -> Any:
    about, kind = setting_of(attribute), without_none(attribute.type)

    def hook(value: object, _: object) -> object:
        if about is None:
            if kind is Trouble:  # which of them, the step has found out
                named, fields = cast("tuple[type[object], object]", value)
                return converter.structure(fields, named)
            if get_origin(kind) is tuple:
                _value(str, kind, value)
            return converter.structure(value, cast("type[object]", kind))
        _value(about.expected, kind, value)
        typed = converter.structure(value, cast("type[object]", kind))
        refusal = about.refusal(typed)
        if refusal is not None:
            raise _Wrong(refusal)
        return typed

    return hook


def _table_hook(converter: cattrs.Converter, kind: type) -> Callable[[object, object], object]:
    overrides: dict[str, Any] = {
        each.name: override(
            rename=key_in_files(each.name), struct_hook=_field_hook(converter, each)
        )
        for each in fields_of(kind)
    }
    hidden = {each.name for each in attrs.fields(kind)} - set(overrides)
    overrides |= {name: override(omit=True) for name in hidden}
    build: Any = make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=True, **overrides
    )

    def structure(value: object, _: object) -> object:
        if not isinstance(value, Mapping):
            raise _Wrong(f"must be a table, not {shown(value)}")
        return build(value, kind)

    return structure


def _structure_step(converter: cattrs.Converter, plain: Callable[[object, object], object]) -> Any:
    """Read a step, whose `fault` says what `with` holds."""

    def structure(value: object, kind: object) -> object:
        if not isinstance(value, Mapping):
            raise _Wrong(f"must be a table, not {shown(value)}")
        rest = {key: inner for key, inner in value.items() if key not in ("fault", "with")}
        name = value.get("fault")
        if not isinstance(name, str) or name not in FAULTS:
            what = "no fault" if name is None else f"the fault {shown(name)}, which is none"
            raise _Wrong(f"has {what}; {near(str(name), list(FAULTS))}")
        return plain({**rest, "with": (FAULTS[name], value.get("with", {}))}, kind)

    return structure


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _scalar(kind))
    for choice in (FailurePolicy, ReceiptPolicy):  # a text to the converter, and asked for first
        converter.register_structure_hook(choice, lambda value, kind: _word(kind, value))
    converter.register_structure_hook_factory(
        lambda kind: bool(_words(kind)), lambda kind: lambda value, _: _word(kind, value)
    )
    converter.register_structure_hook_factory(attrs.has, lambda kind: _table_hook(converter, kind))
    plain = _table_hook(converter, ScenarioStep)
    converter.register_structure_hook(ScenarioStep, _structure_step(converter, plain))
    return converter


def _scalar(kind: Any) -> Callable[[object, object], object]:
    described, accepts = _SHAPES[kind]

    def hook(value: object, _: object) -> object:
        if not accepts(value):
            raise _Wrong(f"must be {described}, not {shown(value)}")
        return cast("object", kind(value))

    return hook


def _word(kind: object, value: object) -> object:
    _value(str, kind, value)
    return value if get_origin(kind) is Literal else cast("type[StrEnum]", kind)(str(value))


_converter = _make_converter()
