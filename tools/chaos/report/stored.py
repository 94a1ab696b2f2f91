"""A result as JSON, and back: versioned, and strict with what comes in."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import cattrs
import orjson
from cattrs.gen import make_dict_structure_fn

from ...common import ToolError, printable
from .moments import BandKind
from .result import Result, ScenarioVerdict

__all__ = ["VERSION", "BadResult", "load", "parsed", "written"]

FORMAT: Final = "deployd-chaos-result"
VERSION: Final = 1
"""Goes up when an older deployd could not read what is written."""
MOST_BYTES: Final = 200_000_000
"""A file above this is no result: a scenario is some ten thousand bytes."""
SHOWN: Final = 40
"""Characters of a wrong value that are shown."""

T = TypeVar("T")


class BadResult(ToolError):
    """A file is no result of a chaos run, or one of another version."""


def written(result: Result) -> bytes:
    """Return a result as JSON, a line break at its end."""
    document = {"format": FORMAT, "version": VERSION, **_converter.unstructure(result)}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def parsed(text: bytes, source: str = "the result") -> Result:
    """Return the result that JSON holds; `source` is its name in what `BadResult` says."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadResult(f"{source} is no JSON: {error}.") from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise BadResult(f"{source} is no result of a chaos run; `deployd chaos run` writes one.")
    version = document.pop("version", None)
    if version != VERSION:
        raise BadResult(f"{source} is of version {_shown(version)}; this deployd reads {VERSION}.")
    try:
        return _converter.structure(document, Result)
    except (cattrs.BaseValidationError, _WrongField) as error:
        wrong = cattrs.transform_error(error, path="", format_exception=_sentence)
        raise BadResult(f"{source}: {printable(wrong[0])}.") from None


def load(path: Path) -> Result:
    """Read a file; raises `BadResult` where there is none, or it is not what it should be."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadResult(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(text) > MOST_BYTES:
        raise BadResult(f"{path} has more than {MOST_BYTES:,} bytes, and is no result.")
    return parsed(text, str(path))


class _WrongField(ValueError):
    """A value is not what it must be."""


def _sentence(error: BaseException, kind: type | None) -> str:
    match error:
        case _WrongField():
            return f"this {error}"
        case KeyError():
            return f"{error.args[0]!r} is missing"
        case cattrs.ForbiddenExtraKeysError():
            return f"{', '.join(sorted(map(repr, error.extra_fields)))} is no field of it"
        case ValueError():  # of a validator of ours
            return str(error)
        case _:
            return "this must be a list" if kind is None or not attrs.has(kind) else "an object"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _scalar(kind: type[T], words: str, *accepted: type) -> Any:
    def hook(value: object, _: object) -> T:
        # JSON's true is no number, and a float that is none would be drawn nowhere.
        if type(value) not in (accepted or (kind,)) or value in (math.inf, -math.inf):
            raise _WrongField(f"must be {words}, not {_shown(value)}")
        return kind(value)  # type: ignore[call-arg]

    return hook


def _choice(kind: type[StrEnum]) -> Any:
    def hook(value: object, _: object) -> StrEnum:
        if not isinstance(value, str) or value not in list(kind):
            raise _WrongField(f"must be one of {', '.join(kind)}, not {_shown(value)}")
        return kind(value)

    return hook


def _moment(value: object, _: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _WrongField(f"must be a time as in ISO 8601, not {_shown(value)}") from None


def _make_converter() -> cattrs.Converter:
    made = cattrs.Converter(detailed_validation=True)
    made.register_structure_hook(bool, _scalar(bool, "true or false"))
    made.register_structure_hook(int, _scalar(int, "a whole number"))
    made.register_structure_hook(float, _scalar(float, "a number", int, float))
    made.register_structure_hook(str, _scalar(str, "text"))
    made.register_structure_hook(datetime, _moment)
    made.register_unstructure_hook(datetime, datetime.isoformat)
    for kind in (ScenarioVerdict, BandKind):
        made.register_structure_hook(kind, _choice(kind))
    made.register_structure_hook_factory(
        attrs.has, lambda of: make_dict_structure_fn(of, made, _cattrs_forbid_extra_keys=True)
    )
    return made


_converter = _make_converter()
