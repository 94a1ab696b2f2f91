"""What failed is played again as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from deployd.tools.chaos import replaying
from deployd.tools.chaos.asked import PlayOrder
from deployd.tools.chaos.command import chaos
from deployd.tools.chaos.replaying import asked_again
from deployd.tools.chaos.report import (
    Result,
    ScenarioResult,
    ScenarioVerdict,
    SystemRun,
    written,
)
from deployd.tools.chaos.report.stored import load
from deployd.tools.chaos.running import asked_by
from deployd.tools.chaos.scenario import ScenarioError

PLACE = ["--simulated", "--broker", "nats", "--topology", "single", "--seed", "3"]


@pytest.fixture
def result(runner: CliRunner, tmp_path: Path) -> Path:
    """A run of two scenarios, of which one is said to have failed."""
    file = tmp_path / "result.json"
    done = runner.invoke(chaos, ["run", "broker-crash", "way-reset", *PLACE, "--json", str(file)])
    assert done.exit_code == 0, done.output
    [run] = load(file).runs
    first, second = run.scenarios
    failed = evolve(first, verdict=ScenarioVerdict.FAILED)
    file.write_bytes(written(Result((evolve(run, scenarios=(failed, second)),))))
    return file


def test_what_failed_is_played_again_with_its_seed(runner: CliRunner, result: Path) -> None:
    done = runner.invoke(chaos, ["replay", str(result)])
    assert done.exit_code == 0, done.output
    assert "broker-crash" in done.output
    assert "simulated, seed 3" in done.output
    assert "way-reset" not in done.output


def test_what_is_named_is_played_again_though_it_passed(runner: CliRunner, result: Path) -> None:
    done = runner.invoke(chaos, ["replay", str(result), "way-reset"])
    assert done.exit_code == 0, done.output
    assert "broker-crash" not in done.output


@pytest.mark.parametrize(
    ("names", "sentence"), [(["another"], "no another"), ([], "Nothing failed")]
)
def test_what_cannot_be_played_again_is_told(
    runner: CliRunner, result: Path, names: list[str], sentence: str
) -> None:
    run = load(result).runs[0]
    well = tuple(evolve(each, verdict=ScenarioVerdict.PASSED) for each in run.scenarios)
    result.write_bytes(written(Result((evolve(run, scenarios=well),))))
    done = runner.invoke(chaos, ["replay", str(result), *names])
    assert done.exit_code != 0
    assert sentence in str(done.exception)


MINE = """
title = "Mine"
[pods]
count = 3
[[steps]]
at = 3.0
fault = "way.cut"
"""


def test_a_file_is_played_again_with_as_many_pods(runner: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "of mine.toml").write_text(MINE)
    mine, result = str(tmp_path / "of mine.toml"), tmp_path / "result.json"
    words = ["run", mine, *PLACE, "--pods", "2", "--json", str(result)]
    assert runner.invoke(chaos, words).exit_code == 0
    [run] = load(result).runs
    assert run.command == run.scenarios[0].command
    assert f"'{mine}'" in run.command
    assert "--pods 2" in run.command
    asked = asked_again(run, ("of mine",))
    assert asked is not None
    assert (asked.scenarios, asked.pods, asked.seed) == ((mine,), 2, 3)
    done = runner.invoke(chaos, ["replay", str(result), "of mine"])
    assert done.exit_code == 0, done.output


URL = "amqp://ann:secret@rabbit:5672/vhost"
WHERE = "amqp://ann@rabbit:5672/vhost"


def endpoint_run() -> SystemRun:
    """Return a run on a broker that was there, in which one failed."""
    asked = PlayOrder.of(
        {"scenarios": ("way-reset",), "endpoint": URL, "targets": ("deployd",), "seed": 5}
    )
    [venue] = asked.venues([*asked.chosen().values()])
    command = str(asked.at(venue))
    failed = ScenarioResult("way-reset", ScenarioVerdict.FAILED, seed=5, command=command)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return SystemRun("deployd", "rabbitmq", "single", 5, "here", command, moment, 1.0, (failed,))


def test_a_command_has_all_that_is_asked_for_and_no_password() -> None:
    run = endpoint_run()
    assert "secret" not in run.command
    asked = asked_by(run.command)
    assert str(asked) == run.command
    assert (asked.endpoint, asked.broker, asked.seed) == (WHERE, "rabbitmq", 5)


def test_an_endpoint_of_now_is_none_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_ENDPOINT", URL)
    assert asked_by("deployd chaos run way-reset --broker nats").endpoint is None


@pytest.mark.parametrize(
    ("given", "used"), [(URL, URL), (None, WHERE), ("amqp://bob:b@rabbit/vhost", None)]
)
def test_what_was_played_on_an_endpoint_is_played_there_again(
    runner: CliRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    used: str | None,
) -> None:
    asked: list[PlayOrder] = []

    def note(order: PlayOrder, processes: int, at_once: int) -> Result:
        asked.append(order)
        return Result((endpoint_run(),))

    monkeypatch.setattr(replaying, "played", note)
    file = tmp_path / "result.json"
    file.write_bytes(written(Result((endpoint_run(),))))
    done = runner.invoke(chaos, ["replay", str(file)], env={"CHAOS_ENDPOINT": given})
    if used is None:
        assert f"It was played on {WHERE}, and the endpoint is" in str(done.exception)
        return
    [order] = asked
    assert (order.endpoint, order.scenarios) == (used, ("way-reset",))


@pytest.mark.parametrize("command", ["", "another tool", "deployd chaos run --nonsense"])
def test_what_no_run_has_written_cannot_be_played_again(command: str) -> None:
    run = endpoint_run()
    other = evolve(run, scenarios=(evolve(run.scenarios[0], command=command),))
    with pytest.raises(ScenarioError, match="was not played by this command"):
        asked_again(other, ())
