"""What clients send, built as an annotation says: strictly, and with the place of what is wrong.

attrs classes, dataclasses, `TypedDict`s, enums, literals, and JSON's own types in lists, tuples,
dicts and unions. No value is converted, and fields that nobody asked for are ignored, as everywhere
else in the protocol. What an annotation may be is judged apart (`annotations`).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from cattrs import Converter
from cattrs.cols import list_structure_factory, mapping_structure_factory
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ClassValidationError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn
from typing_extensions import is_typeddict

from ....config import JSON
from ....config.places import place_of
from .annotations import (
    bare,
    check_annotation,
    fields_of,
    is_choice,
    is_class,
    is_enum,
    is_json,
    is_list,
    is_mapping,
    is_tuple,
    is_union,
    name_of_kind,
)

__all__ = ["Build", "WrongPayload", "plain_of"]

Hook: TypeAlias = Callable[[Any, Any], Any]  # cattrs' own signature
Fits: TypeAlias = Callable[[object], bool]

SHOWN: Final = 40
"""Characters of a value that does not fit."""

_FAULTS: Final = (BaseValidationError, ValueError, TypeError, KeyError)


class WrongPayload(Exception):
    """A client has sent something else than is wanted; `path` is where, "" for all of it."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(f"{path or 'the data'} {sentence}")
        self.path = path


class Build:
    """Makes an object of what a client has sent, as an annotation says: `kind`.

    Raises `NoPayload` for an annotation that no client could fill.
    """

    __slots__ = ("_exact", "_quick", "kind")

    def __init__(self, kind: object) -> None:
        check_annotation(kind)
        self.kind = kind
        wanted = cast("type[object]", kind)
        self._quick = _QUICK.get_structure_hook(wanted)
        self._exact = _EXACT.get_structure_hook(wanted)

    def __call__(self, data: JSON) -> object:
        """Build it. Raises `WrongPayload`."""
        try:
            return self._quick(data, self.kind)
        except _FAULTS:  # once more, to find the place: nearly all that is sent fits
            try:
                return self._exact(data, self.kind)
            except _FAULTS as error:
                raise _misfit(error, "") from None


def plain_of(value: object) -> object:
    """Return an object as plain dicts and lists, as far as it is of classes that are known."""
    return _EXACT.unstructure(value)


def _misfit(error: BaseException, path: str) -> WrongPayload:
    """Find the first fault, and where it is."""
    if isinstance(error, BaseValidationError):
        inner = error.exceptions[0]
        return _misfit(inner, place_of(path, inner, str))
    if isinstance(error, KeyError):
        return WrongPayload(path, "is missing")
    return WrongPayload(path, str(error.args[0]) if error.args else "does not fit")


# -- how each kind is built ------------------------------------------------------------------


def _demand(words: str, fits: Fits, then: Hook | None = None) -> Hook:
    """Return a hook that lets only such values in, and leaves them to another."""

    def hook(value: object, kind: object) -> object:
        if not fits(value):
            raise ValueError(f"must be {words}, not {_shown(value)}")
        return value if then is None else then(value, kind)

    return hook


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value).lower() if isinstance(value, bool) else repr(value)
    text = "null" if value is None else text
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _class(kind: Any, converter: Converter) -> Hook:
    return _demand("an object", _is_dict, make_dict_structure_fn(kind, converter))


def _typed_dict(kind: Any, converter: Converter) -> Hook:
    """Not by cattrs, to which a `NotRequired` is none where annotations are texts (PEP 563)."""
    fields = [(name, bare(one), required) for name, one, required in fields_of(kind)]
    hooks = [
        (name, converter.get_structure_hook(one), one, required) for name, one, required in fields
    ]

    def hook(value: object, _: object) -> object:
        values, built = cast("dict[str, object]", value), {}
        for name, build, one, required in hooks:
            if required or name in values:
                try:
                    built[name] = build(values[name], one)
                except _FAULTS as error:
                    note = AttributeValidationNote("", name, one)
                    error.__notes__ = [*getattr(error, "__notes__", []), note]
                    raise ClassValidationError("", [error], kind) from error
        return built

    return _demand("an object", _is_dict, hook)


def _mapping(kind: Any, converter: Converter) -> Hook:
    return _demand("an object", _is_dict, mapping_structure_factory(kind, converter))


def _list(kind: Any, converter: Converter) -> Hook:
    return _demand("a list", _is_list, list_structure_factory(kind, converter))


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _tuple(kind: Any, converter: Converter) -> Hook:
    parts = typing.get_args(kind)
    endless = parts[-1] is ...
    hooks = [(converter.get_structure_hook(one), one) for one in parts if one is not ...]

    def fits(value: object) -> bool:
        return isinstance(value, list) and (endless or len(value) == len(parts))

    def hook(value: object, _: object) -> object:
        built: list[object] = []
        for index, one in enumerate(cast("list[object]", value)):
            build, part = hooks[0 if endless else index]
            try:
                built.append(build(one, part))
            except _FAULTS as error:
                note = IterableValidationNote("", index, part)
                error.__notes__ = [*getattr(error, "__notes__", []), note]
                raise IterableValidationError("", [error], cast("type", kind)) from error
        return tuple(built)

    return _demand("a list" if endless else f"a list of {len(parts)}", fits, hook)


def _union(kind: Any, converter: Converter) -> Hook:
    members = typing.get_args(kind)
    hooks = [(converter.get_structure_hook(one), one) for one in members if one is not _NONE]
    words = " or ".join(
        _SCALARS[one][0] if one in _SCALARS else name_of_kind(one) for one in members
    )

    def hook(value: object, _: object) -> object:
        if value is None and _NONE in members:
            return None
        if len(hooks) == 1:  # what is wrong inside is told
            return hooks[0][0](value, hooks[0][1])
        for build, one in hooks:
            try:
                return build(value, one)
            except _FAULTS:
                continue
        raise ValueError(f"must be {words}, not {_shown(value)}")

    return hook


def _as_it_is(value: object, _: object) -> object:
    return value


def _choice(kind: Any, _: Converter) -> Hook:
    known = [(one.value, one) for one in kind] if is_enum(kind) else []
    known = known or [(one, one) for one in typing.get_args(kind)]
    words = "one of " + ", ".join(repr(value) for value, _ in known)

    def hook(value: object, _: object) -> object:
        for written, choice in known:
            if type(written) is type(value) and written == value:  # true is no 1
                return choice
        raise ValueError(f"must be {words}, not {_shown(value)}")

    return hook


_NONE: Final = type(None)
_SCALARS: Final[dict[object, tuple[str, Fits]]] = {
    bool: ("true or false", lambda value: type(value) is bool),
    int: ("a whole number", lambda value: type(value) is int),
    float: ("a number", lambda value: type(value) in (int, float)),
    str: ("a text", lambda value: type(value) is str),
    _NONE: ("null", lambda value: value is None),
}
_FACTORIES: Final[list[tuple[Fits, Callable[[Any, Converter], Hook]]]] = [
    (is_class, _class),
    (is_typeddict, _typed_dict),
    (is_mapping, _mapping),
    (is_list, _list),
    (is_tuple, _tuple),
    (is_choice, _choice),
    (is_union, _union),
    (is_json, lambda _, __: _as_it_is),
]


def _converter(*, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)
    for accepts, factory in _FACTORIES:
        converter.register_structure_hook_factory(accepts)(factory)
    for kind, (words, fits) in _SCALARS.items():
        converter.register_structure_hook(kind, _demand(words, fits))

    def plain(value: Mapping[str, object]) -> dict[str, object]:
        """Not by cattrs here either, for which a key that may be missing never is."""
        return {name: converter.unstructure(one) for name, one in value.items()}

    converter.register_unstructure_hook_func(is_typeddict, plain)
    return converter


_QUICK: Final = _converter(detailed=False)
_EXACT: Final = _converter(detailed=True)
