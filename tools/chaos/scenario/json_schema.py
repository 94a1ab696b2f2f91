"""The schema of scenarios' files, for editors (JSON Schema 2020-12), made of the classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, TypeAlias, cast, get_args, get_origin

import attrs

from ....config.fields import Setting, setting_of
from .inner_faults import FAULTS
from .reading import fields_of, key_in_files, without_none
from .schema import CONDITIONS, Scenario, ScenarioStep

__all__ = ["SCHEMA_URL", "json_schema"]

SCHEMA_URL: Final = "https://json-schema.org/draft/2020-12/schema"

_Schema: TypeAlias = dict[str, object]

_TYPES: Final[Mapping[object, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
}


def json_schema() -> dict[str, object]:
    """Describe what `read_scenario` accepts; names that must be somebody's it alone knows."""
    return {
        "$schema": SCHEMA_URL,
        "title": "deployd chaos scenario",
        **_table(Scenario),
        "required": ["title"],
    }


def _table(kind: type) -> _Schema:
    properties: _Schema = {key_in_files(each.name): _field(each) for each in fields_of(kind)}
    if kind is ScenarioStep:
        properties = _step_fields(properties)
    return {
        "type": "object",
        "description": inspect.getdoc(kind),
        "properties": properties,
        "additionalProperties": False,
        **(_by_fault() if kind is ScenarioStep else {}),
    }


def _step_fields(properties: dict[str, object]) -> dict[str, object]:
    described = "\n".join(f"- `{name}`: {inspect.getdoc(kind)}" for name, kind in FAULTS.items())
    fault = {"enum": list(FAULTS), "description": f"What goes wrong.\n\n{described}"}
    until = cast("_Schema", properties["until"])
    words = {"anyOf": [{"enum": list(CONDITIONS)}, {"type": "string"}]}
    with_ = {"type": "object", "description": "What the fault has to know."}
    until.pop("type")
    return properties | {"fault": fault, "with": with_, "until": until | words}


def _by_fault() -> _Schema:
    """Say what `with` holds, by the fault."""
    return {
        "required": ["fault"],
        "allOf": [
            {
                "if": {"properties": {"fault": {"const": name}}, "required": ["fault"]},
                "then": {"properties": {"with": _table(kind)}},
            }
            for name, kind in FAULTS.items()
        ],
    }


def _field(attribute: attrs.Attribute[object]) -> _Schema:
    about, kind = setting_of(attribute), without_none(attribute.type)
    if about is None:
        return _shape(kind)
    unit = f" Unit: {about.unit}." if about.unit else ""
    return (
        _shape(kind) | _bounds(about) | _default(attribute) | {"description": f"{about.help}{unit}"}
    )


def _bounds(about: Setting) -> _Schema:
    bounds = {"exclusiveMinimum": about.gt, "minimum": about.ge, "maximum": about.le}
    return {word: bound for word, bound in bounds.items() if bound is not None}


def _default(attribute: attrs.Attribute[object]) -> _Schema:
    default: object = attribute.default
    plain = isinstance(default, bool | int | float | str) and default != ""
    return {"default": default} if plain else {}


def _shape(kind: object) -> _Schema:
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _shape(get_args(kind)[0])}
    if get_origin(kind) is Mapping:
        return {"type": "object", "additionalProperties": _shape(get_args(kind)[1])}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [each.value for each in kind]}
    if isinstance(kind, type) and kind not in _TYPES and attrs.has(kind):
        return _table(kind)
    return {"type": _TYPES[kind]}
