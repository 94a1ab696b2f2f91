"""The schema of settings files, for editors and other tools (JSON Schema 2020-12)."""

from collections.abc import Mapping
from typing import cast, get_args, get_origin

import attrs

from .fields import Setting, key_of, setting_of
from .report import plain
from .schema import Config
from .settings_file import PLACEHOLDER, WRAPPER
from .structure import CHOICES

Schema = dict[str, object]

_TYPES: Mapping[object, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    **{kind: {"type": "string", "enum": list(kind)} for kind in CHOICES},
}


def json_schema() -> dict[str, object]:
    """Describe what `load` accepts in a file, with or without the `realtime` wrapper.

    Checks of a text's inner form (origins, names of classes) are `load`'s alone.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deployd settings",
        "type": "object",
        "if": {"required": [WRAPPER]},
        "then": {
            "properties": {WRAPPER: {"anyOf": [{"$ref": "#/$defs/settings"}, {"type": "null"}]}},
            "additionalProperties": False,
        },
        "else": {"$ref": "#/$defs/settings"},
        "$defs": {
            "settings": _section(Config),
            "placeholder": {"type": "string", "pattern": PLACEHOLDER},
        },
    }


def _section(section: type) -> Schema:
    properties: Schema = {}
    for attribute in attrs.fields(cast(type[attrs.AttrsInstance], section)):
        about = setting_of(attribute)
        kind = cast(type, attribute.type)
        described = _section(kind) if about is None else _setting(kind, about, attribute.default)
        properties[key_of(attribute.name)] = described
    return {
        "type": "object",
        "description": section.__doc__,
        "properties": properties,
        "additionalProperties": False,
    }


def _setting(kind: object, about: Setting, default: object) -> Schema:
    unit = f" Unit: {about.unit}." if about.unit else ""
    known = {} if isinstance(default, attrs.Factory) else {"default": plain(default)}  # type: ignore[arg-type]
    return _value(kind, about) | known | {"description": f"{about.help}{unit}"}


def _value(kind: object, about: Setting) -> Schema:
    bounds = {"exclusiveMinimum": about.gt, "minimum": about.ge, "maximum": about.le}
    given = {word: bound for word, bound in bounds.items() if bound is not None}
    choices: Schema = {"enum": list(about.choices)} if about.choices else {}
    exact = _shape(kind) | given | choices
    if kind is str and not choices:
        return exact
    return {"anyOf": [exact, {"$ref": "#/$defs/placeholder"}]}


def _shape(kind: object) -> Schema:
    if get_origin(kind) is tuple:
        return {"type": "array", "items": {"type": "string"}}
    if get_origin(kind) is Mapping:
        inner = get_args(kind)[1]
        below = _section(inner) if attrs.has(inner) else _TYPES[inner]
        return {"type": "object", "additionalProperties": below}
    return dict(_TYPES[kind])
