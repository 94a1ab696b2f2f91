from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from deployd.actors import ActorDead
from deployd.supervisors import IntensityExceeded
from deployd.tools.cli import Commands, cli
from deployd.tools.failures import failure
from deployd.transport import AddressInUse


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def failing(error: Exception) -> click.Group:
    group = Commands("deployd")

    @group.command()
    def fail() -> None:
        raise error

    return group


def test_the_version_is_that_of_the_package(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("deployd 0.")


def test_help_names_every_command(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["-h"])
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.stdout for name in ("serve", "token", "tree", "config"))


@pytest.mark.parametrize("arguments", [["no-such"], ["token"], ["serve", "--port", "x"]])
def test_wrong_usage_ends_with_2(runner: CliRunner, arguments: list[str]) -> None:
    result = runner.invoke(cli, arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_an_error_with_a_remedy_is_one_sentence_and_1(runner: CliRunner) -> None:
    result = runner.invoke(failing(AddressInUse("Port 1 is taken; use --port.")), ["fail"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: Port 1 is taken; use --port.\n"


def test_an_error_from_inside_nurseries_is_the_same_sentence() -> None:
    inner = ExceptionGroup("nursery", [AddressInUse("Use --port.")])
    assert failure(ExceptionGroup("nursery", [inner])).message == "Use --port."


def test_two_errors_are_two_lines_and_none_is_told_twice() -> None:
    errors = [AddressInUse("First."), AddressInUse("Second."), AddressInUse("First.")]
    assert failure(ExceptionGroup("nursery", errors)).message == "First.\nSecond."


def test_a_supervisor_that_gave_up_is_told_by_what_its_child_died_of() -> None:
    gave_up = caused(IntensityExceeded("pod gave up"), AddressInUse("Use --port."))
    assert failure(caused(IntensityExceeded("root gave up"), gave_up)).message == "Use --port."


def test_a_cause_that_is_no_supervisors_child_is_not_dug_up() -> None:
    error = caused(ActorDead("rooms/a"), OSError("detail"))
    assert failure(error).message == str(error)


@pytest.mark.parametrize("error", [ValueError("a\nb"), ExceptionGroup("x", [ValueError("a b")])])
def test_a_bug_is_one_line_that_asks_to_report_it(runner: CliRunner, error: Exception) -> None:
    result = runner.invoke(failing(error), ["fail"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "(ValueError: a b); please report it" in result.stderr


def test_a_bug_among_known_errors_is_still_a_bug() -> None:
    group = ExceptionGroup("nursery", [AddressInUse("Use --port."), KeyError("x")])
    assert "KeyError" in failure(group).message


def test_debug_shows_a_bugs_traceback(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    told = runner.invoke(failing(ValueError("odd")), ["fail"]).stderr
    assert told.startswith("Traceback (most recent call last)")
    assert told.splitlines()[-1].startswith("Error: This is a bug of deployd (ValueError: odd)")


def test_debug_shows_no_traceback_for_what_the_operator_can_mend(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    result = runner.invoke(failing(AddressInUse("Use --port.")), ["fail"])
    assert result.stderr == "Error: Use --port.\n"


@pytest.mark.parametrize("error", [click.UsageError("usage"), click.Abort(), BrokenPipeError()])
def test_what_click_words_itself_passes(error: Exception) -> None:
    with pytest.raises(type(error)):
        failing(error).main(["fail"], standalone_mode=False)
