"""The JSON Schema agrees with what loads."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from deployd.config import ConfigError, json_schema, load

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

GOOD: list[object] = [
    {},
    {"realtime": {}},
    {"realtime": None},
    {"limits": {"pingInterval": 20.5}},
    {"limits": {"pingInterval": "${PING:-20}", "maxConnections": "${MAX:-5}"}},
    {"enabled": "${ON:-true}"},
    {"logging": {"level": "${LEVEL:-DEBUG}"}},
    {"server": {"host": "${HOST:-a}.org"}},
    {"origins": {"allowed": ["https://a.org"]}},
    {"origins": {"allowed": "${ORIGINS:-https://a.org}"}},
    {"rooms": {"chat-*": "app.rooms:Chat"}},
    {"access": {"emitToAll": "root", "rules": {"a": {"join": "nobody"}}}},
]
BAD: list[object] = [
    [],
    None,
    {"limit": {}},
    {"realtime": {"limit": {}}},
    {"realtime": {}, "limits": {}},
    {"limits": None},
    {"limits": {"pingInterval": "20"}},
    {"limits": {"pingInterval": 0}},
    {"limits": {"pingInterval": True}},
    {"limits": {"maxConnections": 1.5}},
    {"enabled": 1},
    {"enabled": "yes"},
    {"server": {"port": 65536}},
    {"server": {"host": 5}},
    {"logging": {"level": "LOUD"}},
    {"origins": {"allowed": "https://a.org"}},
    {"origins": {"allowed": [5]}},
    {"rooms": {"chat-*": 5}},
    {"access": {"emitToAll": "all"}},
    {"access": {"rules": {"a": {"join": "me"}}}},
    {"access": {"rules": {"a": {"jion": "root"}}}},
    {"broker": {"redis": {"cluster": "yes"}}},
]


def test_the_schema_is_valid_itself() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_what_loads_fits_the_schema(tmp_path: Path, document: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))

    load(path, environ={})
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_what_does_not_load_does_not_fit_the_schema(tmp_path: Path, document: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))

    with pytest.raises(ConfigError):
        load(path, environ={})
    assert not VALIDATOR.is_valid(document)


def test_every_setting_is_described_with_its_unit_and_default() -> None:
    limits = json_schema()["$defs"]["settings"]["properties"]["limits"]  # type: ignore[index]

    assert limits["properties"]["pingInterval"] == {
        "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"$ref": "#/$defs/placeholder"}],
        "default": 54,
        "description": "Time between two pings to a client. Unit: seconds.",
    }
