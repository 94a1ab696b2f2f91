from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployd.config import Config, Drain, Logging
from deployd.tools.cli import cli
from deployd.tools.common import (
    DEFAULT_FILE,
    key_place,
    known_key,
    make_default_file,
    read_settings,
)
from deployd.tools.serve import for_development
from deployd.tools.welcome import base_url, links, rows_of, welcome


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_the_default_file_is_written_once_and_no_other_ever() -> None:
    assert make_default_file(DEFAULT_FILE)
    assert not make_default_file(DEFAULT_FILE)
    assert not make_default_file(Path("other.json"))
    assert not Path("other.json").exists()


def test_the_default_file_is_read_when_it_is_there() -> None:
    assert read_settings(DEFAULT_FILE, {}).sources["enabled"] == "default"
    make_default_file(DEFAULT_FILE)
    assert read_settings(DEFAULT_FILE, {}).sources["enabled"] == f"file {DEFAULT_FILE}"


def test_an_option_goes_before_the_environment_and_says_so() -> None:
    loaded = read_settings(DEFAULT_FILE, {"DEPLOYD_SERVER__PORT": "1"}, {"server.port": 2})
    assert (loaded.config.server.port, loaded.sources["server.port"]) == (2, "command line --port")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "missing.json"], "file missing.json: there is no such file"),
        (["--port", "70000"], "command line --port: server.port must be"),
    ],
)
def test_serve_does_not_start_on_settings_that_cannot_be(
    runner: CliRunner, arguments: list[str], told: str
) -> None:
    result = runner.invoke(cli, ["serve", *arguments])
    assert result.exit_code == 1
    line = json.loads(result.stderr)  # one, and JSON where no terminal reads
    assert told in line["reason"]
    assert not Path("data").exists()


BAD = '"limits": {"maxConnections": 0}'
BAD_SETTINGS = [
    (f'{{"logging": {{"format": "human"}}, {BAD}}}', "", False),
    (f'{{"logging": {{"format": "json"}}, {BAD}}}', "", True),
    (f'{{"logging": {{"format": "human"}}, {BAD}}}', "json", True),
    (f'{{"logging": {{"format": "loud"}}, {BAD}}}', "", True),
    (f'{{"logging": {{"format": "human", "level": "LOUD"}}, {BAD}}}', "", False),
    (f'{{"logging": "human", {BAD}}}', "", True),
    ("{broken", "human", False),
    ("{broken", "", True),
]


@pytest.mark.parametrize(("content", "variable", "is_json"), BAD_SETTINGS)
def test_what_is_wrong_with_settings_is_told_in_the_format_that_they_ask_for(
    runner: CliRunner,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    variable: str,
    is_json: bool,
) -> None:
    Path("pod.json").write_text(content)
    if variable:
        monkeypatch.setenv("DEPLOYD_LOGGING__FORMAT", variable)
    result = runner.invoke(cli, ["serve", "--config", "pod.json"])
    assert result.exit_code == 1
    assert result.stderr.startswith("{" if is_json else "Error: ")
    assert "pod.json" in result.stderr


def test_serve_writes_the_default_settings_but_not_a_file_that_was_named(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYD_MASTER_KEY", "short")
    assert runner.invoke(cli, ["serve"]).exit_code == 1
    assert DEFAULT_FILE.exists()
    assert runner.invoke(cli, ["serve", "--config", "other.json"]).exit_code == 1
    assert not Path("other.json").exists()


def test_development_is_readable_and_quick_to_stop() -> None:
    config = Config(logging=Logging(format="json"), drain=Drain(window=9.0, deadline=60.0))
    changed = for_development(config)
    assert changed.logging.format == "human"
    assert (changed.drain.window, changed.drain.deadline) == (0.0, 2.0)


def test_development_keeps_a_deadline_that_is_shorter_still() -> None:
    assert for_development(Config(drain=Drain(window=0, deadline=0.5))).drain.deadline == 0.5


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:80"),
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("192.0.2.7", "http://192.0.2.7:80"),
        ("pod.example", "http://pod.example:80"),
    ],
)
def test_the_url_is_what_somebody_on_this_machine_clicks(host: str, url: str) -> None:
    assert base_url(host, 80) == url


def test_the_welcome_shows_every_place_in_full() -> None:
    places = links("http://localhost:2403")
    text = welcome("title", rows_of(places, "in data/secrets.json", "pod.json"), "last").plain
    assert all(place in text for place in places.values())
    assert "ws://localhost:2403/socket.io/" in text
    assert "in data/secrets.json" in text
    assert "pod.json" in text


def test_the_welcome_knows_where_the_key_lies_without_its_value(runner: CliRunner) -> None:
    runner.invoke(cli, ["token", "--user", "ann"])
    environ = {"DEPLOYD_MASTER_KEY": "0123456789abcdef"}
    key = known_key(Path("data"), {})
    assert key is not None
    assert key_place(Path("data"), {}) == "in data/secrets.json"
    assert key_place(Path("data"), environ) == "in the variable DEPLOYD_MASTER_KEY"
    assert known_key(Path("data"), environ) == "0123456789abcdef"


def test_looking_for_a_key_makes_none() -> None:
    assert known_key(Path("data"), {}) is None
    assert known_key(Path("data"), {"DEPLOYD_MASTER_KEY": "given"}) == "given"
    assert not Path("data").exists()
