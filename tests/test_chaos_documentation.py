"""The pages on chaos and on the Python client hold to files, commands and classes."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest

from deployd import client as client_package
from deployd.client import ClientError
from deployd.supervisors.chaos import KINDS as INNER
from deployd.testing import SimulationFailed
from deployd.tools.chaos.command import chaos
from deployd.tools.chaos.proxy.catalogue import KINDS as TOXICS
from deployd.tools.chaos.scenario import CONDITIONS, FAULTS, Scenario, names, parse, shipped

ROOT = Path(__file__).resolve().parent.parent
CHAOS = (ROOT / "docs" / "chaos.md").read_text()
CLIENT = (ROOT / "docs" / "python-client.md").read_text()
CASES = (ROOT / "docs" / "faults.md").read_text()
PAGES = {
    name: (ROOT / "docs" / name).read_text()
    for name in ("chaos.md", "brokers.md", "operating.md", "simulator.md")
} | {"README.md": (ROOT / "README.md").read_text()}
SCENARIOS = [shipped(name) for name in names()]
BLOCKS = re.findall(r"```python\n(.*?)```", CHAOS, re.DOTALL)


def place_of(scenario: Scenario) -> str:
    simulated, real = not scenario.not_simulated, not scenario.not_run
    word = {(True, False): "simulated", (False, True): "real", (False, False): "neither"}
    return f"`{scenario.name}`" + ("" if simulated and real else f" ({word[simulated, real]})")


# The cases of the catalogue -------------------------------------------------------------------


@pytest.mark.parametrize("case", range(1, 49))
def test_a_case_names_the_scenarios_that_play_it_alone(case: int) -> None:
    [row] = re.findall(rf"^\| {case} \|.*$", CASES, re.M)
    alone = [place_of(each) for each in SCENARIOS if each.catalogue == (case,)]
    assert row.rstrip(" |").rpartition(" | ")[2] == ", ".join(alone) or not alone


def test_scenarios_of_several_cases_have_a_table_of_their_own() -> None:
    several = sorted(
        (each for each in SCENARIOS if len(each.catalogue) > 1),
        key=lambda each: (each.catalogue, each.name),
    )
    rows = [
        f"| {', '.join(map(str, each.catalogue))} | {place_of(each)} | {each.title} |"
        for each in several
    ]
    assert CASES.partition("## Two at once")[2].strip().splitlines()[4:] == rows


def test_every_case_is_played_by_some_scenario() -> None:
    assert {case for each in SCENARIOS for case in each.catalogue} == set(range(1, 49))


def test_the_numbers_of_scenarios_are_those_of_the_files() -> None:
    simulated = sum(not each.not_simulated for each in SCENARIOS)
    real = sum(not each.not_run for each in SCENARIOS)
    both = sum(not each.not_run and not each.not_simulated for each in SCENARIOS)
    told = " ".join(CHAOS.split())
    assert f"{len(SCENARIOS)} are shipped; {simulated} can be played in" in told
    assert f"{real} on real servers, and {both} in both" in told


# What the page names --------------------------------------------------------------------------


def commands(text: str) -> list[list[str]]:
    """Find the commands of shell blocks, as words after `deployd chaos`."""
    found = re.findall(r"^(?:\$ )?deployd chaos ([^#;\n]*)", text, re.M)
    return [shlex.split(line) for line in found]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_has_these_options(page: str) -> None:
    for words in commands(PAGES[page]):
        command = chaos.get_command(click.Context(chaos), words[0])
        assert command is not None, words
        with click.Context(command) as context:
            command.make_parser(context).parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES)
def test_every_scenario_that_a_command_plays_is_shipped(page: str) -> None:
    for verb, *rest in commands(PAGES[page]):
        if verb in ("run", "describe") and rest[0] != "--all" and not rest[0].endswith(".toml"):
            assert rest[0] in names()


def test_there_are_commands() -> None:
    assert len(commands(CHAOS)) > 15


def test_the_scenarios_that_a_table_names_are_shipped() -> None:
    planted = CHAOS.partition("| planted bug |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", planted)) <= set(names())


def test_every_fault_of_a_scenario_is_on_the_page() -> None:
    table = CHAOS.partition("**What.**")[2].partition("###")[0]
    told = {
        f"{family}.{name}"
        for family, row in re.findall(r"^\| `(\w+)\.` \|(.*)\|$", table, re.M)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert told == set(FAULTS)


def test_every_condition_is_on_the_page() -> None:
    table = CHAOS.partition("| condition |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`([a-z ]+)`", table)) - {"cluster", "partitioned"}
    assert told == set(CONDITIONS)


def test_every_toxic_is_on_the_page() -> None:
    part = CHAOS.partition("Toxiproxy's own,")[2].partition("| attribute |")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", part, re.M)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(TOXICS)


def test_every_fault_of_a_pod_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", CHAOS, re.M)) == set(INNER)


def test_the_scenarios_of_the_page_are_read_without_a_complaint() -> None:
    files = re.findall(r"```toml\n(.*?)```", CHAOS, re.DOTALL)
    first, second = (parse(text, "mine", "mine.toml") for text in files)
    assert first.expect.detected_within == 1.0
    assert second.catalogue == (1, 8)


# What its Python does -------------------------------------------------------------------------


def run(block: str) -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "docs/chaos.md", "exec"), found)
    return found


def test_its_proxy_can_be_imported() -> None:
    assert "slow_and_forgetful" in run(BLOCKS[0])


def test_its_simulated_test_finds_the_bugs_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples" / "chaos")
    monkeypatch.delitem(sys.modules, "chaos_room", raising=False)
    test = run(BLOCKS[1].replace("seeds=20", "seeds=4"))["test_prices_only_rise"]
    with pytest.raises(SimulationFailed, match="seed 1"):
        test()


test_its_invariant_holds = run(BLOCKS[2])["test_all_is_heard_within_a_second"]


# The Python client ----------------------------------------------------------------------------


def test_the_tree_of_errors_is_that_of_the_client() -> None:
    tree = CLIENT.partition("```text\n")[2].partition("```")[0]
    for name in re.findall(r"\b[A-Z]\w+\b", tree):
        assert issubclass(getattr(client_package, name), ClientError), name
    missing = {
        name
        for name, each in vars(client_package).items()
        if isinstance(each, type) and issubclass(each, ClientError) and name not in tree
    }
    assert missing == set()


def test_every_call_that_the_client_page_names_is_there() -> None:
    calls = CLIENT.partition("| call | does |")[2].partition("\n\n")[0]
    named = set(re.findall(r"\bc\.(\w+)", calls))
    assert len(named) > 10
    assert {name for name in named if not hasattr(client_package.Client, name)} == set()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", CLIENT, re.DOTALL))
def test_the_programs_of_the_client_page_import_what_there_is(block: str) -> None:
    imports = re.findall(r"^(?:from|import) .*$", block, re.M)
    assert imports
    exec("\n".join(imports), {})
    compile(textwrap.dedent(block), "docs/python-client.md", "exec")
