"""What failed is played again as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from deployd.tools.chaos.command import chaos
from deployd.tools.chaos.report import Result, ScenarioVerdict, written
from deployd.tools.chaos.report.stored import load

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
