from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from deployd.tools.cli import cli


def line_of(output: str, key: str) -> list[str]:
    """Return the cells of a setting's line, which stand at least two spaces apart."""
    (line,) = [line for line in output.splitlines() if line.split("  ")[0].strip() == key]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_every_setting_names_its_value_and_where_it_was_set(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pod.yaml").write_text("realtime:\n  limits:\n    pingInterval: 30\n")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    result = runner.invoke(cli, ["config", "--config", "pod.yaml"])
    assert result.exit_code == 0
    ping = ["limits.pingInterval", "30", "seconds", "file pod.yaml"]
    assert line_of(result.stdout, "limits.pingInterval") == ping
    assert line_of(result.stdout, "logging.level")[1:] == ["WARNING", "environment LOG_LEVEL"]
    assert line_of(result.stdout, "limits.pongTimeout")[-1] == "default"


def test_secrets_are_masked_in_every_form(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = {"options": {"password": "hunter2"}, "redis": {"password": "hunter2"}}
    Path("pod.json").write_text(json.dumps({"broker": broker}))
    monkeypatch.setenv("DEPLOYD_METRICS__TOKEN", "hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@host/database")
    for form in ([], ["--json"]):
        output = runner.invoke(cli, ["config", "--config", "pod.json", *form]).stdout
        assert "hunter2" not in output
        assert "********" in output


def test_values_are_shown_as_they_are_and_not_as_markup(runner: CliRunner) -> None:
    Path("pod.json").write_text('{"rooms": {"[red]*": "rooms:Chat"}}')
    output = runner.invoke(cli, ["config", "--config", "pod.json"]).stdout
    assert line_of(output, "rooms")[1] == '{"[red]*":"rooms:Chat"}'


def test_without_a_file_the_defaults_are_shown_and_nothing_is_written(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["config"])
    assert "There is no config/realtime.json" in result.stdout
    assert not Path("config").exists()


def test_json_has_a_row_for_each_setting(runner: CliRunner) -> None:
    rows = json.loads(runner.invoke(cli, ["config", "--json"]).stdout)
    (port,) = [row for row in rows if row["path"] == "server.port"]
    assert port["value"] == 2403
    assert port["source"] == "default"


def test_json_has_the_types_of_json(runner: CliRunner) -> None:
    rows = json.loads(runner.invoke(cli, ["config", "--json"]).stdout)
    values = {row["path"]: row["value"] for row in rows}
    assert values["enabled"] is True
    assert values["limits.abusePeriod"] == 10
    assert values["auth.algorithms"] == ["HS256"]
    assert values["rooms"] == {}
    assert values["access.emitToAll"] == "authenticated"


def test_the_schema_is_a_schema_that_accepts_what_a_file_may_hold(runner: CliRunner) -> None:
    schema = json.loads(runner.invoke(cli, ["config", "--schema"]).stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"limits": {"pingInterval": 30}})
    assert not validator.is_valid({"limits": {"pingIntervall": 30}})


def test_the_schema_needs_no_settings_that_are_right(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYD_NO_SUCH", "1")
    assert runner.invoke(cli, ["config"]).exit_code == 1
    assert runner.invoke(cli, ["config", "--schema"]).exit_code == 0


def test_all_problems_are_told_a_line_each(runner: CliRunner) -> None:
    Path("pod.json").write_text('{"limits": {"pingIntervall": 1, "maxConnections": "many"}}')
    result = runner.invoke(cli, ["config", "--config", "pod.json"])
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 2
    assert "did you mean limits.pingInterval?" in result.stderr


def test_a_named_file_that_is_missing_is_an_error(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["config", "--config", "other.json"])
    assert result.exit_code == 1
    assert result.stderr == "Error: file other.json: there is no such file\n"
