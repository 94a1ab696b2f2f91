"""`deployd chaos list`, `describe`, `new`, `schema`, and `run --simulated`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deployd.tools.chaos.scenario import json_schema, names, read_scenario
from deployd.tools.cli import cli


def chaos(*args: str) -> Result:
    return CliRunner().invoke(cli, ["chaos", *args])


def test_the_list_names_what_is_shipped_and_where_it_cannot_be_played() -> None:
    listed = json.loads(chaos("list", "--json").stdout)
    assert sorted(each["name"] for each in listed) == names()
    [narrow] = [each for each in listed if each["name"] == "way-narrow"]
    assert narrow["not_simulated"].startswith("The models")
    assert f"{len(names())} scenarios" in chaos("list").stdout


def test_the_list_leaves_out_what_has_no_sense_with_a_broker() -> None:
    listed = {
        each["name"] for each in json.loads(chaos("list", "--json", "--broker", "nats").stdout)
    }
    assert "broker-crash" in listed
    assert not {"broker-queue-deleted", "broker-failover", "broker-lies"} & listed


def test_a_scenario_is_described_in_words() -> None:
    told = chaos("describe", "frozen-then-crash").stdout
    assert "1. frozen: at 3 s: broker.freeze (servers 0), until killed (20 s at most)" in told
    assert (
        "2. killed: when all breakers open, 0.5 s later: broker.kill (servers 0), for 2 s" in told
    )
    assert "nats single: yes" in told
    assert "redis sentinel: no: Sentinels make another the master" in told


def test_an_unknown_scenario_is_told_in_a_sentence_with_the_nearest_name() -> None:
    result = chaos("describe", "brokr-crash")
    assert result.exit_code == 1
    assert result.stderr == "Error: There is no scenario brokr-crash; did you mean broker-crash?\n"


def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "x"\n[[steps]]\nat = 1\nfault = "way.cutt"\n')
    result = chaos("run", str(path), "--simulated")
    assert result.exit_code == 1
    assert result.stderr == (
        f'Error: {path}: steps[0] has the fault "way.cutt", which is none; did you mean way.cut?\n'
    )


def test_a_new_scenario_is_written_with_its_schema_and_not_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert chaos("new", "mine").exit_code == 0
    assert read_scenario(Path("mine.toml")).name == "mine"
    named = Path("mine.toml").read_text().splitlines()[0].removeprefix("#:schema ")
    assert json.loads(Path(named).read_text()) == json_schema()
    assert chaos("new", "mine").stderr == (
        "Error: mine.toml is there already; --force writes over it.\n"
    )
    assert chaos("new", "mine", "--force").exit_code == 0
    assert "is no name" in chaos("new", "../mine").stderr


def test_the_schema_is_printed_for_editors() -> None:
    assert json.loads(chaos("schema").stdout) == json_schema()


def test_scenarios_are_played_and_told_in_their_order_with_an_exit_code() -> None:
    result = chaos("run", "way-reset", "way-narrow", "--simulated", "--broker", "nats",
                   "--topology", "single", "--seeds", "2", "--processes", "1")  # fmt: skip
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines.count("passed  way-reset") == 2
    reason = "The models of the simulator bring messages, and not bytes."
    assert f"can't be injected  way-narrow  {reason}" in lines
    sums = [line for line in lines if line.startswith("2 scenarios: 1 passed, 1 can't be injected")]
    assert len(sums) == 2


def test_a_scenario_that_fails_says_why_and_gives_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "x"\n[[steps]]\nat = 1\nfault = "way.cut"\n[expect]\noutage = "never"\n'
    )
    args = ("run", str(path), "--simulated", "--broker", "redis", "--topology", "single")
    result = chaos(*args, "--processes", "1", "--json", str(tmp_path / "result.json"))
    assert result.exit_code == 1
    assert "failed  mine" in result.stdout
    [run] = json.loads((tmp_path / "result.json").read_text())["runs"]
    [told] = run["scenarios"]
    assert told["verdict"] == "failed"
    sentences = [each["sentence"] for each in told["violations"]]
    assert "outage: noticed, expected nothing was noticed" in sentences
    for command in (run["command"], told["command"]):  # its file, which is what can be played
        assert command.startswith(f"deployd chaos run {path} --simulated")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("run", "--simulated"), "Name scenarios, or say --all"),
        (("run", "--all", "way-reset", "--simulated"), "Name scenarios, or say --all"),
        (
            ("run", "broker-failover", "--simulated", "--broker", "nats"),
            "broker-failover has no sense there: broker.failover is nothing that can befall nats.",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_a_sentence(
    args: tuple[str, ...], sentence: str
) -> None:
    result = chaos(*args)
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr


def test_the_group_imports_a_command_when_it_is_asked_for() -> None:
    code = (
        "import sys, deployd.tools.chaos.command\n"
        "sys.exit('deployd.tools.chaos.scenario' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--target", "socketio"], "socketio is no target; did you mean socketio-redis?"),
        (["--target", "deployd", "--target", "json:tool"], "json:tool is no target"),
        (["--target", "python-socketio", "--broker", "nats"], "with a single Redis alone"),
        (["--target", "python-socketio", "--simulated"], "no other pods than deployd's"),
    ],
)
def test_a_system_that_cannot_be_played_is_told_in_a_sentence(
    words: list[str], sentence: str
) -> None:
    result = chaos("run", "broker-crash", *words)
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr
