"""From what a file holds (dicts, lists, scalars) to a `Config`: strictly, nothing coerced.

All problems of a document are found in one pass and told by their dotted paths.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast, get_origin

import attrs
import cattrs
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from .brokers import FailurePolicy, ReadyPolicy, ReceiptPolicy
from .catalogue import nearest
from .errors import ConfigError, Misconfiguration
from .fields import Setting, key_of, setting_of, shown
from .places import joined, place_of
from .schema import Config, Rule, Speaker, Who

T = TypeVar("T")
_Hook = Callable[[object, Any], Any]  # cattrs' own signature


class _RefusedError(ValueError):
    """A value is not what it must be; the sentence lacks the path, found on the way up."""


def structure(document: object) -> Config:
    """Build a `Config` from a document with the keys of files, onto the defaults.

    Raises `ConfigError` with all problems found; where each was set, they do not know.
    """
    try:
        return _converter.structure(document, Config)
    except (BaseValidationError, _RefusedError) as error:
        raise ConfigError(*_problems(error, "")) from None


def shape_of(kind: object) -> object:
    """Give the bare type of an annotation: `tuple` for `tuple[str, ...]`."""
    return get_origin(kind) or kind


def _problems(error: BaseException, path: str) -> Iterator[Misconfiguration]:
    match error:
        case BaseValidationError():
            for inner in error.exceptions:
                yield from _problems(inner, place_of(path, inner, key_of))
        case ForbiddenExtraKeysError():
            for unknown in sorted(joined(path, str(key)) for key in error.extra_fields):
                yield Misconfiguration(f"{unknown} is not a setting; {_hint(unknown)}", (unknown,))
        case ConfigError():
            yield from error.details
        case _RefusedError():
            yield Misconfiguration(f"{path or 'the document'} {error}", (path,))
        case _:  # a bug of this module, not of the document
            raise error


def _hint(path: str) -> str:
    # A rule's keys lie below a pattern, which the catalogue cannot know.
    if path.startswith("access.rules."):
        return f"known are {', '.join(field.name for field in attrs.fields(Rule))}"
    return nearest(path)


def _is_number(value: object) -> bool:
    # Bounded because YAML has .inf and .nan, and whole numbers that no float can hold.
    return isinstance(value, int | float) and type(value) is not bool and -1e300 < value < 1e300


def _choice(kind: type[StrEnum]) -> tuple[str, Callable[[object], bool]]:
    return f"one of {', '.join(kind)}", lambda value: value in tuple(kind)


CHOICES: tuple[type[StrEnum], ...] = (Who, Speaker, FailurePolicy, ReadyPolicy, ReceiptPolicy)

_SHAPES: Mapping[object, tuple[str, Callable[[object], bool]]] = {
    bool: ("true or false", lambda value: type(value) is bool),
    int: ("a whole number", lambda value: type(value) is int),
    float: ("a number", _is_number),
    str: ("text", lambda value: isinstance(value, str)),
    **{kind: _choice(kind) for kind in CHOICES},
    tuple: ("a list", lambda value: isinstance(value, list)),
    Mapping: ("an object", lambda value: isinstance(value, Mapping)),
}


def _scalar_hook(kind: Callable[[object], object]) -> _Hook:
    words, accepts = _SHAPES[kind]

    def hook(value: object, _: object) -> object:
        if not accepts(value):
            raise _RefusedError(f"must be {words}, not {shown(value)}")
        return kind(value)

    return hook


def _setting_hook(converter: cattrs.Converter, about: Setting, kind: object) -> _Hook:
    words, accepts = _SHAPES[shape_of(kind)]

    def hook(value: object, _: object) -> object:
        if not accepts(value):
            raise _RefusedError(about.refuse(about.expected(words), value))
        typed = _typed(converter, about, kind, value)
        refusal = about.refusal(typed)
        if refusal is not None:
            raise _RefusedError(refusal)
        return typed

    return hook


def _typed(converter: cattrs.Converter, about: Setting, kind: object, value: object) -> object:
    try:
        return converter.structure(value, cast(type[object], kind))
    except (BaseValidationError, _RefusedError):
        if about.secret:  # what is wrong inside would be shown
            raise _RefusedError(about.refuse("one with texts in it", value)) from None
        raise


def _section_hook(converter: cattrs.Converter, section: type[T]) -> Callable[[object, object], T]:
    overrides: dict[str, Any] = {}
    for attribute in attrs.fields(cast(type[attrs.AttrsInstance], section)):
        about = setting_of(attribute)
        hook = None if about is None else _setting_hook(converter, about, attribute.type)
        overrides[attribute.name] = override(rename=key_of(attribute.name), struct_hook=hook)
    build = make_dict_structure_fn(section, converter, _cattrs_forbid_extra_keys=True, **overrides)

    def structure_section(value: object, kind: object) -> T:
        if not isinstance(value, Mapping):
            raise _RefusedError("must be an object that holds settings")
        return build(value, kind)

    return structure_section


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    scalars: tuple[type, ...] = (bool, int, float, str, *CHOICES)
    for kind in scalars:
        converter.register_structure_hook(kind, _scalar_hook(kind))
    converter.register_structure_hook_factory(
        attrs.has, lambda section: _section_hook(converter, section)
    )
    return converter


_converter = _make_converter()
