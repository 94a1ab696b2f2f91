"""`deployd check`: what serve would refuse is refused, and nothing is left behind."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deployd.config import load_secrets
from deployd.tools.cli import cli

PORT = ["--port", "0"]


def checked(
    runner: CliRunner, settings: dict[str, Any], *more: str
) -> tuple[Result, dict[str, Any]]:
    Path("pod.json").write_text(json.dumps(settings))
    result = runner.invoke(cli, ["check", "--config", "pod.json", "--json", *PORT, *more])
    return result, {row["check"]: row["problem"] for row in json.loads(result.stdout)["checks"]}


def test_what_serve_would_start_with_is_well_and_nothing_is_made(
    runner: CliRunner, folder: Path
) -> None:
    result, found = checked(runner, {})
    assert (result.exit_code, set(found.values())) == (0, {None})
    assert [path.name for path in folder.iterdir()] == ["pod.json"]


@pytest.mark.parametrize(
    ("settings", "check", "told"),
    [
        ({"limits": {"maxConnections": 0}}, "settings", "limits.maxConnections must be"),
        ({"nonsense": 1}, "settings", "nonsense"),
        ({"rooms": {"a-*": "nowhere:Room"}}, "rooms", "no module 'nowhere'"),
        ({"broker": {"type": "nowhere:Broker", "enabled": True}}, "broker", "nowhere"),
        ({"tls": {"certFile": "a.pem", "keyFile": "b.pem"}}, "certificate", "a.pem"),
        ({"metrics": {"bind": "192.0.2.1:1"}}, "metrics.bind", "metrics.bind"),
        ({"logging": {"file": "missing/log"}}, "logging.file", "missing/log"),
    ],
)
def test_what_serve_would_refuse_is_told_in_its_sentence(
    runner: CliRunner, settings: dict[str, Any], check: str, told: str
) -> None:
    result, found = checked(runner, settings)
    assert result.exit_code == 1
    assert told in found[check]
    assert [name for name, problem in found.items() if problem is not None] == [check]


def test_all_that_is_wrong_is_found_at_once(runner: CliRunner) -> None:
    _, found = checked(
        runner, {"rooms": {"a-*": "nowhere:Room"}, "logging": {"file": "missing/log"}}
    )
    assert found["rooms"] is not None
    assert found["logging.file"] is not None


def test_a_port_that_is_taken_is_refused_but_beside_a_pod_that_runs(runner: CliRunner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result, found = checked(runner, {}, "--port", port)
        assert (result.exit_code, port in found["port"]) == (1, True)
        result, found = checked(runner, {}, "--port", port, "--beside")
        assert (result.exit_code, "port" in found) == (0, False)


def test_secrets_that_others_may_read_are_refused(runner: CliRunner, folder: Path) -> None:
    load_secrets(folder / "data", {})
    (folder / "data" / "secrets.json").chmod(0o644)
    result, found = checked(runner, {})
    assert (result.exit_code, "chmod 600" in found["secrets"]) == (1, True)


@pytest.mark.parametrize("other", [{}, {"DEPLOYD_JWT_SECRET": "j" * 64}])
def test_secrets_of_the_environment_are_looked_at_before_there_is_a_file(
    runner: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    for name, value in {"DEPLOYD_MASTER_KEY": "short", **other}.items():
        monkeypatch.setenv(name, value)
    result, found = checked(runner, {})
    assert (result.exit_code, "DEPLOYD_MASTER_KEY" in found["secrets"]) == (1, True)
    assert [path.name for path in folder.iterdir()] == ["pod.json"]


def test_one_port_for_clients_and_for_metrics_is_refused(runner: CliRunner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result, found = checked(runner, {"metrics": {"bind": f"127.0.0.1:{port}"}}, "--port", str(port))
    assert (result.exit_code, found["port"]) == (1, None)
    assert "metrics.bind" in found["metrics.bind"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_a_log_in_what_is_no_file_is_refused(
    runner: CliRunner, make: Callable[[Path], object]
) -> None:
    make(Path("log"))
    result, found = checked(runner, {"logging": {"file": "log"}})
    assert result.exit_code == 1
    assert "logging.file cannot be opened" in found["logging.file"]


def test_the_folder_of_data_is_not_made_where_a_file_stands(runner: CliRunner) -> None:
    Path("taken").write_text("")
    result, found = checked(runner, {}, "--data", "taken")
    assert (result.exit_code, "taken" in found["secrets"]) == (1, True)


def test_people_get_a_table(runner: CliRunner) -> None:
    Path("pod.json").write_text('{"rooms": {"[red]*": "nowhere:Room"}}')
    result = runner.invoke(cli, ["check", "--config", "pod.json", *PORT])
    assert result.exit_code == 1
    assert "settings" in result.stdout
    assert "[red]*" in result.stdout
