"""What holds for each command, whoever adds one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from deployd.tools.cli import cli


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


ALL = list(commands(cli))


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_its_help_says_what_it_does_and_what_it_exits_with(
    runner: CliRunner, command: tuple[str, ...]
) -> None:
    text = runner.invoke(cli, [*command, "--help"]).stdout
    assert "Exit codes:\n" in text
    for code in ("0", "1", "2"):
        assert f"\n    {code} " in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_a_completion_of_all_commands(runner: CliRunner, shell: str) -> None:
    result = runner.invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert "_DEPLOYD_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    ("typed", "begun", "expected"),
    [
        ([], "", "serve"),
        (["serve"], "--", "--port"),
        (["log-level"], "DE", "debug"),
        (["chaos", "run"], "broker-cr", "broker-crash"),
        (["chaos", "run", "--broker"], "na", "nats"),
        (["chaos", "describe"], "way-", "way-reset"),
        (["chaos", "inject"], "actor.", "actor.crash"),
        (["completion"], "z", "zsh"),
    ],
)
def test_what_was_begun_is_completed(typed: list[str], begun: str, expected: str) -> None:
    found = ShellComplete(cli, {}, "deployd", "_DEPLOYD_COMPLETE").get_completions(typed, begun)
    assert expected in [one.value for one in found]


@pytest.mark.parametrize(
    "command",
    [["tree"], ["pods"], ["log-level"], ["log-level", "DEBUG"], ["chaos", "status"],
     ["chaos", "stop"], ["chaos", "inject", "actor.crash"]],
    ids=" ".join,
)  # fmt: skip
def test_where_nobody_listens_a_sentence_says_so(runner: CliRunner, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = runner.invoke(cli, [*command, "--url", f"http://127.0.0.1:{port}", "--key", "k" * 16])
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"No pod answers at http://127.0.0.1:{port} (Connection refused)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_stress_test_without_a_pod_says_so_too(runner: CliRunner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
    brief = ["--connections", "1", "--duration", "0.1", "--arrival", "0.1"]
    result = runner.invoke(cli, ["stress", "--url", url, *brief])
    assert result.exit_code == 1
    assert f"No pod answers at {url}" in result.stderr
