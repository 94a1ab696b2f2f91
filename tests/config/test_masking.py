"""No secret of the settings is shown: what says that it is one, and what a URL carries in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deployd.config import ConfigError, explain, json_schema, load, reference_markdown
from deployd.config.catalogue import ENTRIES, Entry
from deployd.config.structure import shape_of

MARK: Final = "hunter2"
SECRET: Final = [entry for entry in ENTRIES.values() if entry.about.secret]
TEXTS: Final = [
    entry
    for entry in ENTRIES.values()
    if shape_of(entry.kind) in (str, tuple, Mapping) and not entry.about.choices
]
NEEDED: Final = {"broker.previousSecret": {"DEPLOYD_BROKER__SECRET": MARK * 9}}
"""What else must be set where this is."""
URLS: Final = (
    f"redis://user:{MARK}@host:6379/0",
    f"rediss://:{MARK}@host:6379",
    f"nats://{MARK}@host:4222",
    f"postgresql://user:{MARK}@host/database",
    f"https://user:{MARK}@host",
    f"user:{MARK}@host:6379",
    f"host?password={MARK}",
)


def document(entry: Entry, value: object) -> dict[str, Any]:
    """Return what a file holds that sets one setting."""
    inner = value
    for name in reversed(entry.path.split(".")):
        inner = {name: inner}
    assert isinstance(inner, dict)
    return inner


def right(entry: Entry) -> object:
    """Return a value that this secret setting takes, with the mark in it."""
    if shape_of(entry.kind) is Mapping:
        return {"password": MARK, "anything": MARK, "url": f"x://a:{MARK}@b"}
    if shape_of(entry.kind) is tuple:
        return [MARK * 8, MARK * 9]
    urls = {"broker.redis.url": URLS[0], "store.url": URLS[3]}
    return urls.get(entry.path, MARK * 8)


def ways(folder: Path, entry: Entry, value: object) -> Iterator[tuple[str, Path | None, Any]]:
    """Set a value in each way that there is: a name, a file or none, and the environment."""
    for suffix, write in ((".json", json.dumps), (".yaml", yaml.safe_dump)):
        path = folder / f"pod{suffix}"
        path.write_text(write(document(entry, value)))
        yield suffix, path, {}
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, list):
        text = ",".join(map(str, value))
    yield "environment", None, {entry.variable: text}
    if isinstance(value, str):
        path = folder / "filled.json"
        path.write_text(json.dumps(document(entry, "${MARKED}")))
        yield "placeholder", path, {"MARKED": value}
        path = folder / "default.json"
        path.write_text(json.dumps(document(entry, f"${{NOT_SET:-{value}}}")))
        yield "default of a placeholder", path, {}


@pytest.mark.parametrize("entry", SECRET, ids=lambda entry: entry.path)
def test_a_secret_is_shown_nowhere_however_it_was_set(tmp_path: Path, entry: Entry) -> None:
    for way, path, environ in ways(tmp_path, entry, right(entry)):
        loaded = load(path, environ=NEEDED.get(entry.path, {}) | environ)
        assert MARK in str(entry.value(loaded.config)), way
        assert MARK not in repr(explain(loaded)), way
        assert MARK not in repr(loaded.config), way
        [row] = [row for row in explain(loaded) if row.path == entry.path]
        assert "********" in str(row.value)


@pytest.mark.parametrize("entry", TEXTS, ids=lambda entry: entry.path)
def test_who_signs_in_by_a_url_is_not_shown_wherever_the_url_stands(
    tmp_path: Path, entry: Entry
) -> None:
    for url in URLS:
        values: list[object] = [url]
        if shape_of(entry.kind) is tuple:
            values = [[url], [url, url]]
        elif shape_of(entry.kind) is Mapping:
            values = [{"a": url}, {"a": {"b": url}}, url]
        for value in values:
            for way, path, environ in ways(tmp_path, entry, value):
                assert MARK not in said_of(path, environ), (way, value)


WRONG: Final = (
    12345678,
    12345678.5,
    [12345678],
    {"password": 12345678},
    {"password": {"deep": 12345678}},
    [{"password": 12345678}],
    [MARK, 12345678],
)


@pytest.mark.parametrize("entry", SECRET, ids=lambda entry: entry.path)
def test_an_error_repeats_nothing_of_a_secret_of_the_wrong_kind(
    tmp_path: Path, entry: Entry
) -> None:
    for wrong in WRONG:
        path = tmp_path / "pod.json"
        path.write_text(json.dumps(document(entry, wrong)))
        said = said_of(path, {})
        assert "12345678" not in said, wrong
        assert MARK not in said, wrong
    broken = {entry.variable: '{"password": "' + MARK}
    assert MARK not in said_of(None, broken)


@pytest.mark.parametrize("mark", [*"!*&@%'", "!!", "!<", "!a!", "!!int ", "!!bool "])
def test_an_error_of_yaml_repeats_nothing_of_a_password_without_quotes(
    tmp_path: Path, mark: str
) -> None:
    path = tmp_path / "pod.yaml"
    for end in ("", " b", ": c", "'", "\n*d"):
        path.write_text(f"metrics:\n  token: {mark}{MARK}{end}\n", encoding="utf-8")
        assert MARK not in said_of(path, {}), end


def said_of(path: Path | None, environ: Mapping[str, str]) -> str:
    """Return all that is said of these settings, in force or refused."""
    try:
        loaded = load(path, environ=environ)
    except ConfigError as error:
        return f"{error} {error!r}"
    return f"{explain(loaded)} {loaded.config}"


def test_what_sounds_like_a_secret_says_that_it_is_one() -> None:
    """Masking goes by a setting's own word; this only reminds whoever adds a setting of it."""
    words = ("password", "token", "secret", "options", "url", "key")
    sounding = {
        entry.path
        for entry in ENTRIES.values()
        if shape_of(entry.kind) in (str, Mapping) and entry.names[-1].rpartition("_")[2] in words
    }
    assert sounding == {entry.path for entry in SECRET if entry.path in sounding}
    assert {"broker.options", "broker.redis.url", "store.url", "metrics.token"} <= sounding


def test_the_reference_and_the_schema_are_of_no_pod() -> None:
    assert "********" in reference_markdown()  # RabbitMQ's own default
    assert MARK not in json.dumps(json_schema())
